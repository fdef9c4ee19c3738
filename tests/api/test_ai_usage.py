"""GET /v1/ai/usage: a creator's own month, and nobody else's; and the budget in /metrics."""

import httpx
import pytest

from huntaze.models import ai_limits
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.ai.budget import Scope
from tests.api.conftest import Connect
from tests.models.ai_calls import called


def test_a_creators_month(api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions) -> None:
    called(sessions, 700, creator.id)
    called(sessions, 5, creator.id, role="reason")
    called(sessions, None, creator.id, bound=50)
    called(sessions, 99_000, bound=100_000)
    with sessions.begin() as session:
        ai_limits.put(session, Scope("creator", str(creator.id)), 2000)
    seen = api.get("/v1/ai/usage").json()
    money = ("limit_micro_usd", "spent_micro_usd", "reserved_micro_usd")
    assert [seen[name] for name in money] == [2000, 705, 50]
    assert seen["forecast_micro_usd"] >= 705
    assert [(one["role"], one["calls"], one["cost_micro_usd"]) for one in seen["roles"]] == [
        ("reason", 1, 5),
        ("vision", 1, 700),
    ]
    assert "phi-4" not in str(seen)
    again = api.get("/v1/ai/usage", params={"month": seen["month"]}).json()
    assert again["spent_micro_usd"] == 705
    foreign = other.get("/v1/ai/usage").json()
    assert ([foreign[name] for name in money], foreign["roles"]) == ([None, 0, 0], [])


def test_another_month(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    called(sessions, 700, creator.id)
    seen = api.get("/v1/ai/usage", params={"month": "2024-02"}).json()
    assert (seen["month"], seen["resets_at"]) == ("2024-02", "2024-03-01T00:00:00Z")
    assert (seen["spent_micro_usd"], seen["forecast_micro_usd"], seen["roles"]) == (0, 0, [])


@pytest.mark.parametrize("month", ["2024", "2024-13", "1999-01", "2024-02-01", "x", ""])
def test_what_is_no_month(api: httpx.Client, month: str) -> None:
    response = api.get("/v1/ai/usage", params={"month": month})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "month")


def test_the_budget_is_scraped(connect: Connect, creator: User, sessions: Sessions) -> None:
    called(sessions, 250_000_000, creator.id, bound=300_000_000)
    called(sessions, None, creator.id, bound=500_000)
    figures = connect().get("/metrics").text
    assert 'huntaze_ai_budget_limit_dollars{scope="total"} 1000.0' in figures
    assert 'huntaze_ai_budget_spent_dollars{scope="role:vision"} 250.0' in figures
    assert 'huntaze_ai_budget_reserved_dollars{scope="total"} 0.5' in figures
    assert 'huntaze_ai_budget_share{scope="total"} 0.25' in figures
    assert "huntaze_ai_calls_open 1.0" in figures
    assert "huntaze_ai_calls_refused 0.0" in figures
    assert "creator:" not in figures
