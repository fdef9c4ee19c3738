"""Sources over HTTP, and the webhooks of their runs."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update

from huntaze.api.app import build_app
from huntaze.clients.apify.hooks import PATH, hook_token
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import trend_source_store
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.models.trend_sources import ApifyDispatch, TrendRun, TrendSource
from huntaze.models.users import User
from huntaze.pipelines.trends.posts.sources import SourceSpec
from huntaze.settings import Settings
from tests.api.conftest import Connect, serving

OOTD = {"platform": "tiktok", "query": "#ootd", "region": "DE", "cron": "0 */2 * * *"}


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_source_from_its_first_day_to_its_pause(api: httpx.Client) -> None:
    made = api.post("/v1/sources", json=OOTD)
    assert made.status_code == 201, made.text
    source = made.json()
    assert made.headers["location"] == f"/v1/sources/{source['id']}"
    assert (source["own"], source["state"], source["max_items"], source["held_at"]) == (True, "active", 200, None)
    assert api.get(f"/v1/sources/{source['id']}").json() == source
    assert api.get("/v1/sources", params={"platform": "tiktok"}).json()["sources"] == [source]
    assert api.get("/v1/sources", params={"platform": "x"}).json()["sources"] == []
    changed = api.patch(f"/v1/sources/{source['id']}", json={"state": "paused", "max_items": 50}).json()
    assert (changed["state"], changed["max_items"], changed["cron"]) == ("paused", 50, OOTD["cron"])
    assert code(api.post("/v1/sources", json=OOTD)) == (409, "source.exists")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"platform": "myspace"}, "platform"),
        ({"query": "#"}, "query"),
        ({"query": "a\u0000"}, "query"),
        ({"query": "x" * 201}, "query"),
        ({"region": "Germany"}, "region"),
        ({"language": "deu"}, "language"),
        ({"cron": "* * * * *"}, "cron"),
        ({"cron": "never"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"max_items": 0}, "max_items"),
        ({"max_charge_micro_usd": 10**12}, "max_charge_micro_usd"),
        ({"creator_id": str(uuid.uuid4())}, "creator_id"),
    ],
)
def test_what_a_source_cannot_be(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    refused = api.post("/v1/sources", json={**OOTD, **change})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


def test_others_sources_are_not_there(api: httpx.Client, other: httpx.Client, sessions: Sessions) -> None:
    own = api.post("/v1/sources", json=OOTD).json()
    with sessions.begin() as session:
        everybodys = trend_source_store.create(session, SourceSpec("x", "#ootd"))
    assert [one["own"] for one in other.get("/v1/sources").json()["sources"]] == [False]
    assert other.get(f"/v1/sources/{everybodys.id}").json()["own"] is False
    for id in (own["id"], everybodys.id):
        assert code(other.patch(f"/v1/sources/{id}", json={"state": "paused"})) == (404, "source.not_found")
        assert code(other.post(f"/v1/sources/{id}/runs")) == (404, "source.not_found")
    assert code(other.get(f"/v1/sources/{own['id']}")) == (404, "source.not_found")
    assert code(other.get(f"/v1/sources/{own['id']}/runs")) == (404, "source.not_found")


def test_a_held_source_counts_again_when_its_owner_has_looked(
    api: httpx.Client, other: httpx.Client, sessions: Sessions
) -> None:
    path = f"/v1/sources/{api.post('/v1/sources', json=OOTD).json()['id']}"
    with sessions.begin() as session:
        session.execute(update(TrendSource).values(held_at=func.clock_timestamp()))
    assert code(other.patch(path, json={"state": "active"})) == (404, "source.not_found")
    assert api.patch(path, json={"max_items": 60}).json()["held_at"] is not None, "nobody has said so"
    assert api.patch(path, json={"state": "active"}).json()["held_at"] is None
    assert api.get(path).json()["held_at"] is None


def test_a_run_by_hand(api: httpx.Client, sessions: Sessions) -> None:
    source = api.post("/v1/sources", json=OOTD).json()
    run = api.post(f"/v1/sources/{source['id']}/runs")
    assert (run.status_code, run.json()["state"]) == (202, "intended")
    assert code(api.post(f"/v1/sources/{source['id']}/runs")) == (409, "source.running")
    with sessions.begin() as session:
        session.scalars(select(TrendRun)).one().state = "cancelled"
    assert code(api.post(f"/v1/sources/{source['id']}/runs")) == (409, "source.too_soon")
    assert [one["state"] for one in api.get(f"/v1/sources/{source['id']}/runs").json()["runs"]] == ["cancelled"]


SECRET = SecretStr("0123456789abcdef")


@pytest.fixture
def hooked(settings: Settings, objects: S3ObjectStore, engine: object) -> Iterator[tuple[Settings, str]]:
    """An API that has a secret for webhooks, and its address."""
    apify = settings.apify.model_copy(update={"webhook_secret": SECRET})
    with_secret = settings.model_copy(update={"apify": apify})
    with serving(build_app(with_secret)) as url:
        yield with_secret, url


def planned(sessions: Sessions, creator: User) -> TrendRun:
    with sessions.begin() as session:
        source = trend_source_store.create(session, SourceSpec("tiktok", "#ootd"), creator.id)
        return trend_source_store.plan_now(session, source, 10**9)


def checks(sessions: Sessions) -> list[dict[str, Any]]:
    with sessions() as session:
        return list(session.scalars(select(Job.args).where(Job.kind == "trends.check").order_by(Job.id)))


def test_a_webhook_makes_somebody_ask_once(
    hooked: tuple[Settings, str], sessions: Sessions, creator: User, connect: Connect
) -> None:
    settings, url = hooked
    run = planned(sessions, creator)
    path = f"{url}{PATH}/{run.id}/{hook_token(settings.apify, run.id)}"
    body = {"eventType": "ACTOR.RUN.SUCCEEDED", "resource": {"id": "abc", "status": "SUCCEEDED", "usageTotalUsd": 0}}
    for _ in range(3):
        assert connect().post(path, json=body, headers={"X-Apify-Webhook-Dispatch-Id": "d1"}).status_code == 202
        with sessions.begin() as session:  # what it asked for is done when the next delivery comes
            session.execute(update(Job).values(state="succeeded", finished_at=func.clock_timestamp()))
    assert checks(sessions) == [{"run_id": str(run.id), "external_id": "abc"}]
    for _ in range(2):  # a delivery without a name is the same news
        assert connect().post(path, json={"eventType": [], "resource": {"id": {}}}).status_code == 202
    with sessions() as session:
        assert session.scalars(select(func.count()).select_from(ApifyDispatch)).one() == 2
        assert session.get_one(TrendRun, run.id).external_id is None  # it said so; nobody believed it


@pytest.mark.parametrize("wrong", ["", "x" * 40, "é", "%00"])
def test_a_webhook_with_another_address_is_nobodys(
    hooked: tuple[Settings, str], sessions: Sessions, creator: User, connect: Connect, wrong: str
) -> None:
    settings, url = hooked
    run, other = planned(sessions, creator), uuid.uuid4()
    assert connect().post(f"{url}{PATH}/{run.id}/{wrong}", json={}).status_code == 404
    token = hook_token(settings.apify, run.id)
    assert connect().post(f"{url}{PATH}/{other}/{token}", json={}).status_code == 404
    assert connect().post(f"{url}{PATH}/{run.id}/{token}", content=b"[]").status_code in (400, 422)
    assert checks(sessions) == []


def test_without_a_secret_no_address_is_right(api: httpx.Client, make_key: Callable[..., str]) -> None:
    assert api.post(f"{PATH}/{uuid.uuid4()}/None", json={}).status_code == 404
