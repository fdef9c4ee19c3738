"""Billing under any order of events: whatever is done, crashes or comes late, the books add up and nothing is billed
twice. The audit is the invariant; it is tested on its own."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import (
    billing_audit,
    billing_credit,
    billing_run,
    billing_store,
    billing_usage,
    billing_watch,
    payment_disputes,
    payment_store,
)
from huntaze.models.billing_invoices import Invoice, Receivable
from huntaze.models.billing_plans import Coupon, TaxRate
from huntaze.models.billing_run import RunPolicy
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import (
    Declined,
    DisputeNotice,
    DisputeState,
    Movement,
    Outcome,
    RequiresAction,
    Succeeded,
    Unknown,
)
from tests.models.billing_kit import START, make_plan

POLICY = RunPolicy(batch=2, most_periods=100)
OUTCOMES = [Succeeded("ch"), Declined("short", True), Declined("lost", False), RequiresAction("pi"), Unknown("timeout")]
REFUSED = {f"subscription.{why}" for why in ("not_active", "not_paused", "too_early")} | {
    "invoice.overcredited",
    "invoice.disputed",
}
PLANS = [(3100, "month"), (1000, "month"), (365_00, "year"), (777, "week")]

# Units on the invoices are the units that were marked, and no line has others.
_UNITS = text("""
    SELECT coalesce(sum(quantity), 0) - (SELECT coalesce(sum(quantity), 0) FROM invoice_lines
                                         WHERE detail ->> 'price_code' = 'videos')
    FROM usage_records WHERE invoice_id IS NOT NULL
""")
_TABLES = """
    billing_audits, billing_items, coupons, credit_balances, credit_grants, credit_notes, dispute_movements, disputes,
    invoice_counters, invoice_lines, invoices, ledger_entries, payment_attempts, payments, plan_prices, plans,
    receivables, refunds,
    subscription_changes, subscriptions, tax_rates, usage_records, payment_inbox
"""


class Billing(RuleBasedStateMachine):
    """Time is the machine's own: it stands still but for `wait`."""

    subscriptions = Bundle("subscriptions")
    attempts = Bundle("attempts")

    def __init__(self, sessions: Sessions, creator: User) -> None:
        super().__init__()
        self.sessions, self.creator, self.now, self.keys = sessions, creator, START, 0
        with sessions.begin() as session:
            session.execute(text(f"TRUNCATE {_TABLES}"))
            self.plans = [make_plan(session, fee, code=f"p{n}", interval=per).id for n, (fee, per) in enumerate(PLANS)]
            rate, coupon = TaxRate(name="VAT", percent=Decimal("8.1")), Coupon(code="THIRD", percent=Decimal("33.33"))
            session.add_all([rate, coupon])
            session.flush()
            self.tax_id, self.coupon_id = rate.id, coupon.id

    def _do(self, what: Callable[[Session], object]) -> None:
        """One transaction; what may be refused, may be."""
        try:
            with self.sessions.begin() as session:
                what(session)
        except Permanent as error:
            if error.code not in REFUSED:
                raise

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    @precondition(lambda self: self.keys < 1000)
    @rule(target=subscriptions, plan=st.integers(0, 3), tax=st.booleans(), coupon=st.booleans(), zone=st.booleans())
    def subscribe(self, plan: int, tax: bool, coupon: bool, zone: bool) -> uuid.UUID:
        wanted = Wanted(
            self.creator.id,
            self.plans[plan],
            time_zone="America/New_York" if zone else "UTC",
            tax_rate_id=self.tax_id if tax else None,
            coupon_id=self.coupon_id if coupon else None,
            coupon_periods=2 if coupon else None,
            method="card",
        )
        with self.sessions.begin() as session:
            return billing_store.subscribe(session, wanted, self.now).id

    @rule(days=st.sampled_from([1, 3, 10, 30, 45]))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days, seconds=1)

    @rule()
    def run(self) -> None:
        for slot in (self.now, self.now - timedelta(days=1)):  # an older slot, run late, does no harm
            while True:
                with self.sessions.begin() as session:
                    billed = billing_run.bill_batch(session, slot, POLICY)
                assert not billed.held
                if not billed.claimed:
                    break

    @rule()
    def crash(self) -> None:
        with self.sessions() as session:
            billing_run.bill_batch(session, self.now, POLICY)
            session.rollback()

    @rule(id=subscriptions, plan=st.integers(0, 3), quantity=st.integers(0, 3), now=st.booleans())
    def change(self, id: uuid.UUID, plan: int, quantity: int, now: bool) -> None:
        terms = {"plan_id": self.plans[plan], "quantity": quantity, "now": now}
        self._do(lambda session: billing_store.change(session, id, self.now, policy=POLICY, **terms))  # type: ignore[arg-type]

    @rule(id=subscriptions)
    def pause(self, id: uuid.UUID) -> None:
        self._do(lambda session: billing_store.pause(session, id, self.now, POLICY))

    @rule(id=subscriptions)
    def resume(self, id: uuid.UUID) -> None:
        self._do(lambda session: billing_store.resume(session, id, self.now))

    @rule(id=subscriptions, now=st.booleans(), give_back=st.booleans())
    def cancel(self, id: uuid.UUID, now: bool, give_back: bool) -> None:
        options = {"now": now, "give_back": give_back}
        self._do(lambda session: billing_store.cancel(session, id, self.now, policy=POLICY, **options))  # type: ignore[arg-type]

    @rule(id=subscriptions, units=st.integers(1, 9), late_days=st.integers(-5, 60), twice=st.booleans())
    def use(self, id: uuid.UUID, units: int, late_days: int, twice: bool) -> None:
        unit = Metered(id, "videos", Decimal(units), self.now - timedelta(days=late_days), self._key())
        for _ in range(1 + twice):
            self._do(lambda session: billing_usage.record(session, [unit]))

    @rule(target=attempts, outcome=st.sampled_from(OUTCOMES), told=st.booleans())
    def charge(self, outcome: Outcome, told: bool) -> list[tuple[uuid.UUID, int]]:
        """All that is due is asked for; without `told` the process dies before it can write the answer down."""
        made = []
        with self.sessions() as session:
            due = payment_store.due(session, self.now)
        for invoice_id in due:
            with self.sessions.begin() as session:
                charge = payment_store.begin(session, invoice_id, "embedded", self.now)
            if charge is not None:
                made.append((invoice_id, charge.number))
                if told:
                    self._settle(invoice_id, charge.number, outcome, self.now)
        return made

    @rule(attempts=attempts, outcome=st.sampled_from(OUTCOMES))
    def notice(self, attempts: list[tuple[uuid.UUID, int]], outcome: Outcome) -> None:
        """Late, twice, in any order: of any attempt that ever was."""
        for invoice_id, number in attempts:
            self._settle(invoice_id, number, outcome, self.now)

    def _settle(self, invoice_id: uuid.UUID, number: int, outcome: Outcome, at: datetime) -> None:
        with self.sessions.begin() as session:
            payment_store.settle(session, invoice_id, number, outcome, at)

    @rule(share=st.integers(1, 4), refund=st.booleans(), twice=st.booleans(), given=st.booleans())
    def take_back(self, share: int, refund: bool, twice: bool, given: bool) -> None:
        with self.sessions() as session:
            invoice = session.scalars(select(Invoice).order_by(func.random()).limit(1)).one_or_none()
        if invoice is None:
            return
        key, amount = self._key(), invoice.total_minor // share
        for _ in range(1 + twice):
            self._do(
                lambda session: billing_credit.credit_note(
                    session, invoice.id, amount, reason="x", source_key=key, at=self.now, refund=refund
                )
            )
        with self.sessions.begin() as session:
            for refund_id in billing_credit.refunds_due(session):
                outcome = Succeeded("re") if given else Declined("closed", retryable=False)
                billing_credit.settle_refund(session, refund_id, outcome, self.now)

    @rule(state=st.sampled_from(DisputeState), moved=st.integers(0, 3), hours=st.integers(-3, 3))
    def dispute(self, state: DisputeState, moved: int, hours: int) -> None:
        """One a payment, told of in any order, with as many of its movements as there were then."""
        with self.sessions.begin() as session:
            for reference, amount, currency in billing_watch.newest_payments(session, 1):
                all_moved = [
                    Movement(f"{reference}:{n}", sum_, currency) for n, sum_ in enumerate((-amount, -15, amount))
                ]
                told = (state, "general", amount, currency, self.now + timedelta(hours=hours))
                notice = DisputeNotice(reference, reference, *told, tuple(all_moved[:moved]))
                payment_disputes.settle(session, "embedded", notice, self.now)

    @rule()
    def give_up(self) -> None:
        with self.sessions.begin() as session:
            owed = session.scalars(select(Receivable).where(Receivable.state == "uncollected").limit(1)).one_or_none()
            if owed is not None:
                billing_credit.write_off(session, owed.invoice_id, self.now)

    @invariant()
    def the_books_add_up(self) -> None:
        with self.sessions() as session:
            assert billing_audit.differences(session) == []
            assert session.scalar(_UNITS) == 0
            numbers = session.scalars(select(Invoice.number).order_by(Invoice.number)).all()
        assert list(numbers) == list(range(1, len(numbers) + 1))


def test_any_order_of_events_keeps_the_books(sessions: Sessions, creator: User) -> None:
    thorough = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Billing(sessions, creator), settings=thorough)  # type: ignore[no-untyped-call]
