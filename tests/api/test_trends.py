"""Trends and recommendations over HTTP: as the creator may see them, and nobody else's."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from huntaze.models import recommendation_store
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.models.risen import NOW, frame, risen
from tests.models.sampled import source


@pytest.fixture
def world(sessions: Sessions, creator: User) -> dict[str, str]:
    """One trend of everybody's on each of two platforms, one of the creator's own source, one that is over."""
    tiktok, reddit = source(sessions), source(sessions, "r/cars", platform="reddit", region="US")
    own = source(sessions, "#mine", creator_id=creator.id)
    frames = {one.id: frame(sessions, one) for one in (tiktok, reddit, own)}
    return {
        "bread": str(risen(sessions, tiktok, frames[tiktok.id], "bread", "baking", text="a loaf", velocity=1.0)),
        "drift": str(
            risen(sessions, reddit, frames[reddit.id], "drift", strength=5.0, peak_at=NOW - timedelta(days=3))
        ),
        "mine": str(risen(sessions, own, frames[own.id], "mine", started_at=NOW - timedelta(hours=1), strength=1.5)),
        "old": str(risen(sessions, tiktok, frames[tiktok.id], "old", state="over", ended_at=NOW)),
    }


def labels(client: httpx.Client, **params: Any) -> list[str]:
    return [one["label"] for one in client.get("/v1/trends", params=params).raise_for_status().json()["trends"]]


def test_trends_are_found_and_sorted(api: httpx.Client, world: dict[str, str]) -> None:
    assert labels(api) == ["#bread", "#mine", "#drift"]
    assert labels(api, sort="newest")[0] == "#mine"
    assert labels(api, sort="velocity")[0] == "#bread"
    assert (labels(api, platform="reddit"), labels(api, region="US"), labels(api, state="over")) == (
        ["#drift"],
        ["#drift"],
        ["#old"],
    )
    assert labels(api, limit=1) == ["#bread"]
    for wrong in ({"sort": "x"}, {"region": "usa"}, {"platform": "myspace"}, {"limit": 101}):
        assert api.get("/v1/trends", params=wrong).status_code == 422


def test_a_trend_has_its_series_and_its_posts(api: httpx.Client, world: dict[str, str]) -> None:
    shown = api.get(f"/v1/trends/{world['bread']}").json()
    assert [(one["posts"], one["value"]) for one in shown["series"]] == [(0, 0.0), (0, 0.0), (7, 7.5)]
    assert [(one["text"], one["hashtags"]) for one in shown["examples"]] == [("a loaf", ["bread"])] * 2
    assert shown["related"] == [{"kind": "hashtag", "name": "baking", "share": 0.8}]


def test_a_private_source_stays_private(api: httpx.Client, other: httpx.Client, world: dict[str, str]) -> None:
    assert labels(other) == ["#bread", "#drift"]
    assert api.get(f"/v1/trends/{world['mine']}").status_code == 200
    assert other.get(f"/v1/trends/{world['mine']}").json()["code"] == "trend.not_found"


def recommended(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        found, about, why = recommendation_store.candidates(session, creator.id, NOW, [])
        rows = [
            {
                "trend_id": one.id,
                "relevance": 0.5,
                "strength": 0.5,
                "freshness": 0.5,
                "explored": False,
                "propensity": 1.0,
                "about": about[one.id],
                "why": {"terms": ["loaf"], **why[one.id]},
                "idea": {"text": "Try it.", "source": "template"},
            }
            for one in found
        ]
        recommendation_store.save_set(session, creator.id, NOW, rows)


def test_recommendations_and_what_is_said_to_them(
    api: httpx.Client, other: httpx.Client, sessions: Sessions, creator: User, world: dict[str, str]
) -> None:
    recommended(sessions, creator)
    shown = api.get("/v1/recommendations").json()["recommendations"]
    assert [one["label"] for one in shown] == ["#bread", "#mine", "#drift"]
    assert (shown[0]["why"]["terms"], shown[0]["why"]["posts"], len(shown[0]["examples"])) == (["loaf"], 12, 2)
    assert other.get("/v1/recommendations").json() == {"recommendations": []}
    url = f"/v1/recommendations/{shown[0]['id']}/feedback"
    assert other.post(url, json={"feedback": "used"}).json()["code"] == "recommendation.not_found"
    assert api.post(url, json={"feedback": "loved"}).status_code == 422
    for said in ("used", "dismissed", "dismissed"):
        assert api.post(url, json={"feedback": said}).json()["feedback"] == said
    left = api.get("/v1/recommendations").json()["recommendations"]
    assert [one["label"] for one in left] == ["#mine", "#drift"]
