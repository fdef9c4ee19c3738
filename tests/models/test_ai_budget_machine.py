"""The AI budget against a model: any interleaving of reserve, settle, death, sweep, new limits and new months."""

import uuid
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from sqlalchemy import text

from huntaze.models import ai_ledger, ai_limits, user_store
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.ai.budget import TOTAL, Scope, scopes_of
from huntaze.pipelines.ai.calls import Ask, Used
from huntaze.pipelines.ai.errors import BudgetExhausted

ROLES = ("vision", "reason")


@dataclass
class Call:
    """What the row of usage must say. `month` counts down from 0, the current one; `cost` None: under way."""

    ask: Ask
    month: int = 0
    cost: int | None = None
    lost: bool = False
    expired: bool = False


@dataclass
class Model:
    """Sums are worked out from the calls: what the ledger keeps beside them must agree."""

    calls: list[Call] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=lambda: {"total": 10})

    def sums(self) -> dict[tuple[int, str], tuple[int, int]]:
        """{(month, scope): (reserved, settled)} where there is any."""
        reserved: Counter[tuple[int, str]] = Counter()
        settled: Counter[tuple[int, str]] = Counter()
        for call in self.calls:
            for scope in scopes_of(call.ask.role, call.ask.creator_id):
                reserved[call.month, scope] += call.ask.bound_micro_usd if call.cost is None else 0
                settled[call.month, scope] += call.cost or 0
        return {key: (reserved[key], settled[key]) for key in reserved if reserved[key] or settled[key]}

    def fits(self, ask: Ask) -> bool:
        sums, scopes = self.sums(), scopes_of(ask.role, ask.creator_id)
        return all(
            sum(sums.get((0, scope), (0, 0))) + ask.bound_micro_usd <= self.limits.get(scope, 10**9) for scope in scopes
        )


class Budgets(RuleBasedStateMachine):
    """Amounts are small, so that it is often just enough, or just too much. Callers that died stay in `calls`: they may
    come back and settle after the sweep."""

    calls = Bundle("calls")

    def __init__(self, sessions: Sessions, creators: list[User]) -> None:
        super().__init__()
        self.sessions, self.creators = sessions, [one.id for one in creators]
        self.ledger, self.model = BudgetLedger(sessions), Model()
        with sessions.begin() as session:
            session.execute(text("TRUNCATE usage_logs, ai_spend, ai_limits, ai_warnings"))
            ai_limits.put(session, TOTAL, 10)

    @rule(target=calls, role=st.sampled_from(ROLES), whose=st.integers(0, 2), bound=st.integers(0, 6))
    def reserve(self, role: str, whose: int, bound: int) -> object:
        creator = None if whose == 2 else self.creators[whose]
        ask = Ask(new_id(), role, "phi-4", creator, None, bound, 600.0)
        fits = self.model.fits(ask)
        try:
            self.ledger.reserve(ask)
        except BudgetExhausted:
            assert not fits
            return multiple()
        assert fits
        self.model.calls.append(call := Call(ask))
        return call

    @rule(call=calls, share=st.one_of(st.none(), st.floats(0, 1)))
    def settle(self, call: Call, share: float | None) -> None:
        cost = None if share is None else round(share * call.ask.bound_micro_usd)
        self.ledger.settle(call.ask, Used("phi-4", 1, 1, 0, 0, cost, 1, "ok"))
        if call.cost is None or (call.lost and cost is not None):
            call.cost, call.lost = call.ask.bound_micro_usd if cost is None else cost, False

    @rule(call=calls)
    def die(self, call: Call) -> None:
        expire = "UPDATE usage_logs SET lease_until = now() - interval '1 s' WHERE request_id = :id"
        with self.sessions.begin() as session:
            session.execute(text(expire), {"id": call.ask.request_id})
        call.expired = True

    @rule()
    def sweep(self) -> None:
        swept: set[uuid.UUID] = set()
        while True:
            with self.sessions.begin() as session:
                if (one := ai_ledger.sweep(session)) is None:
                    break
            swept.add(one.request_id)
        dead = [call for call in self.model.calls if call.expired and call.cost is None]
        assert swept == {call.ask.request_id for call in dead}
        for call in dead:
            call.cost, call.lost = call.ask.bound_micro_usd, True

    @rule(scope=st.sampled_from(["total", "role:vision", "creator"]), most=st.integers(0, 15))
    def limit(self, scope: str, most: int) -> None:
        known = Scope("creator", str(self.creators[0])) if scope == "creator" else Scope.parse(scope)
        with self.sessions.begin() as session:
            ai_limits.put(session, known, most)
        self.model.limits[str(known)] = most

    @rule()
    def a_month_later(self) -> None:
        with self.sessions.begin() as session:
            for table in ("ai_spend", "usage_logs", "ai_warnings"):
                for step in ("- interval '1201 months'", "+ interval '1200 months'"):  # no two months meet on the way
                    session.execute(text(f"UPDATE {table} SET month = month {step}"))
        for call in self.model.calls:
            call.month -= 1

    @invariant()
    def the_sums_are_those_of_the_calls(self) -> None:
        query = f"""
            SELECT (extract(year FROM age) * 12 + extract(month FROM age))::int AS month, scope,
                   reserved_micro_usd, settled_micro_usd
            FROM (SELECT *, age(month, {ai_ledger.MONTH}) AS age FROM ai_spend) AS aged
            WHERE reserved_micro_usd > 0 OR settled_micro_usd > 0
        """
        with self.sessions() as session:
            seen = {(row[0], row[1]): (row[2], row[3]) for row in session.execute(text(query))}
        assert seen == self.model.sums()


def test_any_interleaving_keeps_the_sums_and_the_limits(sessions: Sessions) -> None:
    with sessions.begin() as session:
        creators = [user_store.ensure_user(session, handle) for handle in ("ada", "bob")]
    thorough = settings(max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Budgets(sessions, creators), settings=thorough)  # type: ignore[no-untyped-call]
