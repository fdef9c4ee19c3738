"""The AI budget: what is reserved and settled never passes the limit, whoever races, comes late or dies."""

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from huntaze.models import ai_ledger, ai_limits, event_store, job_enqueue
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.base import new_id
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.models.job_args import Noop
from huntaze.models.users import User
from huntaze.pipelines.ai.budget import WARN_PERCENT, Scope
from huntaze.pipelines.ai.calls import Ask, Used
from huntaze.pipelines.ai.errors import BudgetExhausted

CENT = 10_000
DOLLAR = 1_000_000


def ask(bound: int, *, role: str = "vision", creator: uuid.UUID | None = None, lease_s: float = 60) -> Ask:
    return Ask(new_id(), role, "phi-4", creator, None, bound, lease_s)


def used(cost: int | None, outcome: str = "ok") -> Used:
    return Used("phi-4", 100, 20, 5, 7, cost, 12, outcome)  # type: ignore[arg-type]


@pytest.fixture
def budget(sessions: Sessions) -> BudgetLedger:
    return BudgetLedger(sessions)


@pytest.fixture
def limit(sessions: Sessions) -> Callable[[str, int], None]:
    def put(scope: str, micro_usd: int) -> None:
        with sessions.begin() as session:
            ai_limits.put(session, Scope.parse(scope), micro_usd)

    return put


def spend(sessions: Sessions) -> dict[str, tuple[int, int]]:
    """{scope: (reserved, settled)}, of all months together."""
    query = "SELECT scope, sum(reserved_micro_usd)::bigint, sum(settled_micro_usd)::bigint FROM ai_spend GROUP BY scope"
    with sessions() as session:
        return {row[0]: (row[1], row[2]) for row in session.execute(text(query))}


def rows(sessions: Sessions) -> list[dict[str, object]]:
    with sessions() as session:
        return [dict(row) for row in session.execute(text("SELECT * FROM usage_logs ORDER BY created_at")).mappings()]


def expire(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(text("UPDATE usage_logs SET lease_until = now() - interval '1 s' WHERE settled_at IS NULL"))


def sweep_all(sessions: Sessions) -> int:
    swept = 0
    while True:
        with sessions.begin() as session:
            if ai_ledger.sweep(session) is None:
                return swept
        swept += 1


def test_a_call_is_reserved_and_settled_in_every_scope(budget: BudgetLedger, sessions: Sessions, creator: User) -> None:
    one = ask(5 * CENT, creator=creator.id)
    budget.reserve(one)
    everywhere = ("total", "role:vision", f"creator:{creator.id}")
    assert spend(sessions) == dict.fromkeys(everywhere, (5 * CENT, 0))
    budget.settle(one, used(2 * CENT))
    assert spend(sessions) == dict.fromkeys(everywhere, (0, 2 * CENT))
    budget.settle(one, used(3 * CENT))
    assert spend(sessions)["total"] == (0, 2 * CENT), "settled once"
    (row,) = rows(sessions)
    facts = ("role", "deployment", "creator_id", "cost_micro_usd", "input_tokens", "reasoning_tokens", "outcome")
    assert [row[name] for name in facts] == ["vision", "phi-4", creator.id, 2 * CENT, 100, 7, "ok"]


@pytest.mark.parametrize("level", ["READ COMMITTED", "SERIALIZABLE", "AUTOCOMMIT"])
def test_what_is_reserved_is_committed_whatever_the_engine_was_told(sessions: Sessions, level: str) -> None:
    told = sessions.kw["bind"].execution_options(isolation_level=level)
    budget, one = BudgetLedger(build_sessions(told)), ask(CENT)
    budget.reserve(one)
    assert spend(sessions)["total"] == (CENT, 0)
    budget.settle(one, used(7))
    assert spend(sessions)["total"] == (0, 7)


def test_the_default_is_1000_dollars(budget: BudgetLedger, sessions: Sessions) -> None:
    budget.reserve(ask(1000 * DOLLAR))
    with pytest.raises(BudgetExhausted):
        budget.reserve(ask(1))
    assert spend(sessions)["total"] == (1000 * DOLLAR, 0)


def test_all_scopes_or_none(
    budget: BudgetLedger, sessions: Sessions, creator: User, limit: Callable[[str, int], None]
) -> None:
    limit(f"creator:{creator.id}", CENT)
    budget.reserve(ask(CENT))
    with pytest.raises(BudgetExhausted) as caught:
        budget.reserve(ask(CENT + 1, creator=creator.id))
    now = datetime.now(UTC)
    assert (caught.value.scope, caught.value.resets_at.day) == ("creator", 1)
    assert now < caught.value.resets_at <= now + timedelta(days=31)
    assert caught.value.retry_after == pytest.approx((caught.value.resets_at - now).total_seconds(), abs=5)
    assert f"{caught.value.resets_at:%Y-%m-%d}" in caught.value.message
    assert spend(sessions)["total"] == spend(sessions)["role:vision"] == (CENT, 0)
    assert [row["outcome"] for row in rows(sessions)] == [None, "budget"]
    limit("role:vision", 2 * CENT)
    with pytest.raises(BudgetExhausted, match="budget") as caught:
        budget.reserve(ask(CENT + 1))
    assert caught.value.scope == "role:vision"
    budget.reserve(ask(CENT + 1, role="generate"))


def test_what_is_not_known_costs_its_bound(budget: BudgetLedger, sessions: Sessions) -> None:
    one = ask(CENT)
    budget.reserve(one)
    budget.settle(one, used(None, "timeout"))
    assert spend(sessions)["total"] == (0, CENT)


def test_a_call_that_cost_more_than_its_bound_is_charged_in_full(budget: BudgetLedger, sessions: Sessions) -> None:
    one = ask(CENT)
    budget.reserve(one)
    budget.settle(one, used(3 * CENT))
    assert spend(sessions)["total"] == (0, 3 * CENT)


def test_a_request_id_is_used_once(budget: BudgetLedger, sessions: Sessions) -> None:
    one = ask(CENT)
    budget.reserve(one)
    with pytest.raises(IntegrityError):
        budget.reserve(one)
    assert spend(sessions)["total"] == (CENT, 0)


def test_a_month_that_ends_between_is_charged_to_the_month_of_the_reservation(
    budget: BudgetLedger, sessions: Sessions
) -> None:
    early = ask(5 * CENT)
    budget.reserve(early)
    with sessions.begin() as session:  # as if all of it had happened a month ago
        for table in ("ai_spend", "usage_logs"):
            session.execute(text(f"UPDATE {table} SET month = month - interval '1 month'"))
    late = ask(CENT)
    budget.reserve(late)
    budget.settle(early, used(2 * CENT))
    query = "SELECT reserved_micro_usd, settled_micro_usd FROM ai_spend WHERE scope = 'total' ORDER BY month"
    with sessions() as session:
        assert session.execute(text(query)).all() == [(0, 2 * CENT), (CENT, 0)]


def test_the_dead_are_swept_at_the_full_bound(budget: BudgetLedger, sessions: Sessions) -> None:
    dead, alive = ask(5 * CENT), ask(CENT)
    budget.reserve(dead)
    expire(sessions)
    budget.reserve(alive)
    assert sweep_all(sessions) == 1
    assert spend(sessions)["total"] == (CENT, 5 * CENT)
    assert [row["outcome"] for row in rows(sessions)] == ["lost", None]
    budget.settle(dead, used(None, "timeout"))
    assert spend(sessions)["total"] == (CENT, 5 * CENT)
    budget.settle(dead, used(2 * CENT))  # it lives after all, and knows the price
    assert spend(sessions)["total"] == (CENT, 2 * CENT)
    assert [row["outcome"] for row in rows(sessions)] == ["ok", None]


def test_what_costs_nothing_is_noted(budget: BudgetLedger, sessions: Sessions, creator: User) -> None:
    one = ask(CENT, creator=creator.id)
    budget.note(one, replace(used(0), cache_hit=True))
    budget.note(one, used(0))
    (row,) = rows(sessions)
    assert (row["cache_hit"], row["cost_micro_usd"], row["bound_micro_usd"]) == (True, 0, 0)
    assert spend(sessions) == {}


def test_warnings_come_once(
    budget: BudgetLedger, sessions: Sessions, creator: User, limit: Callable[[str, int], None]
) -> None:
    limit(f"creator:{creator.id}", 100)
    limit("total", 200)
    for cost in (79, 1, 1, 14, 1):
        one = ask(cost, creator=creator.id)
        budget.reserve(one)
        budget.settle(one, used(cost))
    with sessions.begin() as session:
        event_store.place(session)
        told = event_store.read_after(session, creator.id, 0)
        warned = session.execute(text("SELECT scope, percent FROM ai_warnings ORDER BY at")).all()
    assert [(event.type, event.data["percent"], event.data["spent_micro_usd"]) for event in told] == [
        ("ai.budget_warning", 80, 80),
        ("ai.budget_warning", 95, 95),
    ]
    assert warned == [(f"creator:{creator.id}", 80), (f"creator:{creator.id}", 95)], "of 200, 96 are no 80 %"


def test_pressure_is_the_largest_share_of_a_role(
    budget: BudgetLedger, sessions: Sessions, creator: User, limit: Callable[[str, int], None]
) -> None:
    assert budget.pressure("vision") == 0
    limit("total", 1000)
    limit("role:vision", 100)
    limit(f"creator:{creator.id}", 51)
    one = ask(50, creator=creator.id)
    budget.reserve(one)
    assert BudgetLedger(sessions).pressure("vision") == 0.5
    assert BudgetLedger(sessions).pressure("generate") == 0.05
    budget.reserve(ask(1))
    assert budget.pressure("vision") == 0.5, "as the last reservation has seen it"


def test_32_threads_cannot_overspend(
    sessions: Sessions, budget: BudgetLedger, creator: User, limit: Callable[[str, int], None]
) -> None:
    """Every tenth caller dies before it settles; others learn no price. Their scopes overlap."""
    limit("total", 100 * CENT)
    limit("role:reason", 40 * CENT)
    limit(f"creator:{creator.id}", 30 * CENT)
    start = Barrier(32)

    def caller(number: int) -> int:
        refused = 0
        start.wait()
        for turn in range(20):
            kind = (number + turn) % 10
            one = ask(CENT + number, role=("vision", "reason")[turn % 2], creator=creator.id if number % 3 else None)
            try:
                budget.reserve(one)
            except BudgetExhausted:
                refused += 1
                continue
            if kind != 0:
                budget.settle(one, used(None if kind == 1 else (CENT + number) // 2))
        return refused

    engine = sessions.kw["bind"]
    assert engine.pool.size() + 20 >= 32
    with ThreadPoolExecutor(32) as pool:
        refused = sum(pool.map(caller, range(32)))
    assert refused > 100
    for _ in range(2):
        for scope, most in (("total", 100), ("role:reason", 40), (f"creator:{creator.id}", 30)):
            assert 0.8 * most * CENT < sum(spend(sessions)[scope]) <= most * CENT, scope
        assert sums_agree(sessions)
        expire(sessions)
        sweep_all(sessions)
    assert spend(sessions)["total"][0] == 0


def test_whoever_settles_at_once_charges_once(sessions: Sessions, budget: BudgetLedger) -> None:
    """The sweep and a caller who comes back late; and a caller who settles twice."""
    for _ in range(20):
        one, start = ask(CENT), Barrier(6)
        budget.reserve(one)
        expire(sessions)

        def settle(number: int, one: Ask = one, start: Barrier = start) -> None:
            start.wait()
            if number < 3:
                budget.settle(one, used(CENT // 2))
            else:
                sweep_all(sessions)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(settle, range(6)))
    assert spend(sessions)["total"] == (0, 20 * CENT // 2)
    assert sums_agree(sessions)


def sums_agree(sessions: Sessions) -> bool:
    """Whether the sums are those of the rows."""
    query = """
        SELECT coalesce(sum(bound_micro_usd) FILTER (WHERE settled_at IS NULL), 0)::bigint,
               coalesce(sum(cost_micro_usd), 0)::bigint
        FROM usage_logs
    """
    with sessions() as session:
        return tuple(session.execute(text(query)).one()) == spend(sessions)["total"]


DIES = """
    import os, sys
    from huntaze.models.ai_budget import BudgetLedger
    from huntaze.models.base import new_id
    from huntaze.models.database import build_engine, build_sessions
    from huntaze.pipelines.ai.calls import Ask
    ledger = BudgetLedger(build_sessions(build_engine(os.environ["HUNTAZE_DATABASE_URL"])))
    while True:
        ledger.reserve(Ask(new_id(), "vision", "phi-4", None, None, 10_000, 0.0))
        print("reserved", flush=True)
"""


def test_a_killed_caller_leaves_nothing_half_done(sessions: Sessions, environment: dict[str, str]) -> None:
    """kill -9, wherever it is just then: most likely inside a reservation."""
    url = sessions.kw["bind"].url.render_as_string(hide_password=False)
    program = [sys.executable, "-c", textwrap.dedent(DIES)]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, env=os.environ | {"HUNTAZE_DATABASE_URL": url}, text=True)
    assert child.stdout is not None
    with child:
        for _ in range(20):
            assert child.stdout.readline() == "reserved\n"
        child.send_signal(signal.SIGKILL)
    assert sums_agree(sessions)
    before = sum(spend(sessions)["total"])
    assert before >= 20 * CENT
    assert sweep_all(sessions) == before // CENT
    assert spend(sessions)["total"] == (0, before)


def test_a_database_that_is_away_loses_no_answer(settings: object) -> None:
    away = build_engine("postgresql+psycopg://nobody@127.0.0.1:9/none", connect_timeout_s=1)
    budget = BudgetLedger(build_sessions(away))
    budget.settle(ask(1), used(1))
    budget.note(ask(1), used(0))
    with pytest.raises(Exception, match="refused"):
        budget.reserve(ask(1))


def waiting_job(sessions: Sessions, days: int = 9) -> uuid.UUID:
    with sessions.begin() as session:
        return job_enqueue.enqueue(session, Noop(), run_at=datetime.now(UTC) + timedelta(days=days)).job.id


def test_a_raised_limit_wakes_those_that_wait_and_is_warned_of_anew(
    budget: BudgetLedger, sessions: Sessions, limit: Callable[[str, int], None]
) -> None:
    limit("total", 100)
    one = ask(96)
    budget.reserve(one)
    budget.settle(one, used(96))
    sent_away, elsewhere = waiting_job(sessions), waiting_job(sessions)
    with pytest.raises(BudgetExhausted):
        budget.reserve(replace(ask(10), job_id=sent_away))
    with sessions.begin() as session:
        assert ai_limits.put(session, Scope.parse("total"), 110) == [sent_away]
        late = session.execute(text("SELECT id FROM jobs WHERE run_at > clock_timestamp()")).scalars().all()
        kept = session.execute(text("SELECT percent FROM ai_warnings")).scalars().all()
    assert (late, kept) == ([elsewhere], [80]), "96 of 110 are 87 %"
    budget.reserve(again := ask(10))
    budget.settle(again, used(10))
    with sessions.begin() as session:
        assert sorted(session.execute(text("SELECT percent FROM ai_warnings")).scalars()) == [80, 95]
        assert ai_limits.remove(session, Scope("role", "vision")) is None
        assert ai_limits.remove(session, Scope.parse("total")) == []
    budget.reserve(ask(999 * DOLLAR))


def test_a_call_looks_at_its_own_scopes_alone(budget: BudgetLedger, sessions: Sessions, creator: User) -> None:
    """However many creators' sums there are: a plan is kept from when there were few."""
    budget.reserve(one := ask(CENT, creator=creator.id))
    events = {f"event_{percent}": new_id() for percent in WARN_PERCENT}
    settled = events | vars(used(7)) | {"request_id": one.request_id}
    with sessions() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, given in ((ai_ledger._RESERVE, vars(one)), (ai_ledger._SETTLE, settled)):
            plan = session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given).scalar_one()
            looks = [node["Index Cond"] for node in nodes(plan[0]["Plan"]) if node.get("Index Name") == "pk_ai_spend"]
            assert len(looks) == 2
            assert all("scope" in look and "month" in look for look in looks), looks


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All parts of a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
