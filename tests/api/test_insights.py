"""GET /v1/insights: a creator's own, and nobody else's."""

from datetime import UTC, datetime

import httpx

from huntaze.models import insight_store
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.pipelines.ai.injections import CANARY

INSIGHT = {
    "headline": f"About {CANARY}.",
    "evidence": [{"figure": "videos.analysed.now", "value": "5", "unit": "", "about": "videos, last 7 days"}],
    "advice": "Go on.",
    "confidence": 0.5,
}


def kept(sessions: Sessions, creator: User, key: str) -> str:
    values = {"creator_id": creator.id, "figures_key": key, "figures_until": datetime.now(UTC), "figures": []}
    usage = {"model": "m", "sandbox": True, "cost_micro_usd": 5}
    with sessions.begin() as session:
        return str(insight_store.save(session, {**values, "insights": [INSIGHT], "dropped": 1, "usage": usage}).id)


def test_ones_own_newest_first(api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions) -> None:
    ids = [kept(sessions, creator, key) for key in "abc"]
    page = api.get("/v1/insights", params={"limit": 2}).json()
    assert [one["id"] for one in page["sets"]] == [ids[2], ids[1]]
    assert (page["sets"][0]["insights"], page["sets"][0]["sandbox"]) == ([INSIGHT], True)
    rest = api.get("/v1/insights", params={"cursor": page["next_cursor"]}).json()
    assert ([one["id"] for one in rest["sets"]], rest["next_cursor"]) == ([ids[0]], None)
    foreign = other.get("/v1/insights", params={"cursor": page["next_cursor"]})
    assert (foreign.json()["sets"], CANARY in foreign.text) == ([], False)
