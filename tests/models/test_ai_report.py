"""What is told of the spent money agrees with the rows, for the one who may see it."""

import uuid
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from huntaze.models import ai_limits, ai_report, user_store
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.ai_report import RoleUsage
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.ai.budget import Scope
from huntaze.pipelines.ai.calls import Ask, Used
from huntaze.pipelines.ai.errors import BudgetExhausted
from tests.models.ai_calls import called


@pytest.fixture
def stranger(sessions: Sessions) -> User:
    with sessions.begin() as session:
        return user_store.ensure_user(session, "mallory")


def test_the_budget_of_a_month(sessions: Sessions, creator: User, stranger: User) -> None:
    called(sessions, 700, creator.id)
    called(sessions, 200, stranger.id, role="reason")
    called(sessions, None, creator.id, bound=50)
    with sessions.begin() as session:
        ai_limits.put(session, Scope("role", "generate"), 10)
        ai_limits.put(session, Scope("role", "vision"), 1000)
    with sessions() as session:
        found = ai_report.budget(session)
        own = ai_report.budget(session, creator_id=stranger.id)
        nobodys = ai_report.budget(session, creator_id=uuid.uuid4())
        long_ago = ai_report.budget(session, date(2020, 2, 1))
    facts = [(one.scope, one.limit_micro_usd, one.settled_micro_usd, one.reserved_micro_usd) for one in found.scopes]
    assert facts == [
        ("total", 1_000_000_000, 900, 50),
        ("role:vision", 1000, 700, 50),
        ("role:reason", None, 200, 0),
        ("role:generate", 10, 0, 0),
        (f"creator:{creator.id}", None, 700, 50),
        (f"creator:{stranger.id}", None, 200, 0),
    ]
    now = datetime.now(UTC)
    left_days = (found.resets_at - now).total_seconds() / 86_400
    assert found.scopes[0].forecast_micro_usd == pytest.approx(900 + 900 * left_days, abs=5)
    assert [one.scope for one in own.scopes] == [f"creator:{stranger.id}"]
    assert own.scopes[0].forecast_micro_usd == pytest.approx(200 + 200 * left_days, abs=5)
    assert (nobodys.scopes, nobodys.resets_at) == ([], found.resets_at)
    then = long_ago.scopes[0]
    assert (then.scope, then.settled_micro_usd, then.forecast_micro_usd) == ("total", 0, 0)
    assert long_ago.resets_at == datetime(2020, 3, 1, tzinfo=UTC)


def test_usage_by_role(sessions: Sessions, creator: User, stranger: User) -> None:
    for latency in (10, 30, 20):
        called(sessions, 100, creator.id, latency_ms=latency)
    called(sessions, 0, creator.id, outcome="timeout", latency_ms=90)
    called(sessions, None, creator.id)  # under way
    called(sessions, 5, stranger.id, role="reason")
    budget = BudgetLedger(sessions)
    hit = Ask(new_id(), "vision", "phi-4", creator.id, None, 0, 1.0)
    budget.note(hit, Used("phi-4", 0, 0, 0, 0, 0, 0, "ok", cache_hit=True, sandbox=True))
    with sessions() as session:
        (own,) = ai_report.usage(session, creator_id=creator.id)
        everybodys = ai_report.usage(session)
        assert ai_report.usage(session, date(2020, 2, 1)) == []
    assert own == RoleUsage("vision", 5, 1, 1, 1, 400, 80, 20, 28, 300, 20)
    assert [(one.role, one.calls) for one in everybodys] == [("reason", 1), ("vision", 5)]


def test_gauges_name_no_creator(sessions: Sessions, creator: User) -> None:
    with sessions() as session:
        empty = ai_report.gauges(session)
    assert [(one.scope, one.limit_micro_usd, one.settled_micro_usd) for one in empty.scopes] == [
        ("total", 1_000_000_000, 0)
    ]
    assert (empty.open, empty.overdue_s, empty.refused) == (0, 0, 0)
    called(sessions, None, creator.id, bound=7)
    with pytest.raises(BudgetExhausted):
        called(sessions, None, bound=10**10)
    with sessions.begin() as session:
        session.execute(text("UPDATE usage_logs SET lease_until = now() - interval '90 s'"))
    with sessions() as session:
        found = ai_report.gauges(session)
    assert [(one.scope, one.reserved_micro_usd) for one in found.scopes] == [("role:vision", 7), ("total", 7)]
    assert (found.open, found.refused) == (1, 1)
    assert 90 <= found.overdue_s < 150
