"""Attempts, notices in any order, dunning, credit notes: the money that moved is the money that is booked."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from huntaze.models import billing_audit, billing_credit, payment_store
from huntaze.models.billing_invoices import CreditNote, Invoice, Receivable
from huntaze.models.billing_payments import Payment, PaymentAttempt, Refund
from huntaze.models.billing_plans import TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.payment_store import Charge
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import Declined, Outcome, RequiresAction, Succeeded, Unknown
from tests.models.billing_kit import START, balances, invoices, make_plan, run, subscribe

SHORT = Declined("insufficient_funds", retryable=True)
DAY = timedelta(days=1)


class Bench:
    """One invoice of 20.00 EUR, and the moves on it."""

    def __init__(self, sessions: Sessions, creator: User, **plan: object) -> None:
        self.sessions = sessions
        with sessions.begin() as session:
            rate = TaxRate(name="VAT", percent=Decimal(25))
            session.add(rate)
            plan_id = make_plan(session, 1600, **plan).id  # type: ignore[arg-type]
        self.row = subscribe(sessions, creator, plan_id=plan_id, tax_rate_id=rate.id, method="card", customer="cus_1")
        run(sessions, START)
        self.invoice: Invoice = invoices(sessions)[0]

    def begin(self, at: object = START) -> Charge | None:
        with self.sessions.begin() as session:
            return payment_store.begin(session, self.invoice.id, "embedded", at)  # type: ignore[arg-type]

    def settle(self, number: int, outcome: Outcome, at: object = START) -> str:
        with self.sessions.begin() as session:
            return payment_store.settle(session, self.invoice.id, number, outcome, at)  # type: ignore[arg-type]

    def charge(self, outcome: Outcome, at: object = START) -> str:
        charge = self.begin(at)
        assert charge is not None
        return self.settle(charge.number, outcome, at)

    def note(self, amount: int, key: str = "n1", *, refund: bool = False) -> CreditNote:
        with self.sessions.begin() as session:
            return billing_credit.credit_note(
                session, self.invoice.id, amount, reason="sorry", source_key=key, at=START, refund=refund
            )

    @property
    def owed(self) -> Receivable:
        with self.sessions() as session:
            return session.get_one(Receivable, self.invoice.id)

    @property
    def subscription(self) -> Subscription:
        with self.sessions() as session:
            return session.get_one(Subscription, self.row.id)

    def events(self) -> list[str]:
        with self.sessions() as session:
            return list(session.scalars(select(Event.type).order_by(Event.created_at, Event.id)))


@pytest.fixture
def bench(sessions: Sessions, creator: User) -> object:
    yield (made := Bench(sessions, creator))
    with sessions() as session:
        assert billing_audit.differences(session) == []
    assert sum(balances(made.sessions).values()) == 0


def test_a_payment_settles_the_invoice(bench: Bench) -> None:
    charge = bench.begin()
    assert charge is not None
    assert (charge.number, charge.amount_minor, charge.method, charge.customer) == (1, 2000, "card", "cus_1")
    assert bench.settle(1, Succeeded("ch_1")) == "paid"
    assert (bench.owed.state, bench.owed.open_minor) == ("paid", 0)
    assert balances(bench.sessions) == {"receivable": 0, "revenue": -1600, "tax": -400, "cash": 2000}
    assert bench.begin() is None, "nothing is left to ask for"
    assert bench.events() == ["invoice.issued", "invoice.paid"]


def test_a_crash_or_silence_keeps_the_key_and_a_decline_gets_another(bench: Bench) -> None:
    first, after_crash = bench.begin(), bench.begin()
    assert first == after_crash
    assert first is not None
    assert bench.settle(1, Unknown("timeout")) == "unknown"
    assert bench.begin() == first
    bench.settle(1, SHORT)
    assert bench.begin() is None, "not before the schedule says"
    second = bench.begin(START + 2 * DAY)
    assert second is not None
    assert second.number == 2
    assert second.idempotency_key != first.idempotency_key


def test_notices_come_twice_late_and_in_any_order(bench: Bench) -> None:
    bench.begin()
    assert bench.settle(1, Succeeded("ch_1")) == "paid"  # the webhook was quicker than the answer
    assert bench.settle(1, Succeeded("ch_1")) == "paid before"
    assert bench.settle(1, SHORT) == "over before"
    assert bench.settle(1, RequiresAction("ch_1")) == "over before"
    bench.settle(1, Unknown("late"))
    assert bench.settle(9, Succeeded("ch_9")) == "no such attempt"
    assert (bench.owed.state, balances(bench.sessions)["cash"]) == ("paid", 2000)


def test_money_after_a_decline_is_booked_and_too_much_becomes_credit(bench: Bench) -> None:
    bench.charge(SHORT)
    bench.charge(Succeeded("ch_2"), START + 2 * DAY)
    assert bench.settle(1, Succeeded("ch_1")) == "paid", "the first card paid after all"
    assert balances(bench.sessions)["cash"] == 4000
    assert balances(bench.sessions)["credit"] == -2000


def test_a_customer_who_has_to_act_is_waited_for(bench: Bench) -> None:
    bench.charge(RequiresAction("pi_1"))
    assert bench.begin(START + DAY) is None
    again = bench.begin(START + 2 * DAY)
    assert again is not None
    assert again.number == 2, "they did not"
    assert bench.settle(1, Succeeded("pi_1")) == "paid", "they did at last"
    assert bench.settle(2, SHORT, START + 2 * DAY) == "declined"
    assert (bench.owed.state, bench.events()[-1]) == ("paid", "invoice.paid")


def test_dunning_goes_by_the_plan_and_ends(bench: Bench) -> None:
    at, asked = START, []
    while bench.owed.next_attempt_at is not None:
        at = bench.owed.next_attempt_at
        asked.append((at - START).days)
        bench.charge(SHORT, at)
    assert asked == [0, 2, 7, 14, 21]
    assert bench.owed.state == "uncollected"
    assert bench.events()[1:] == [*["payment.failed"] * 4, "payment.given_up", "subscription.cancelled"]
    run(bench.sessions, at)
    assert bench.subscription.status == "cancelled"


def test_dunning_may_pause_and_a_payment_recovers(sessions: Sessions, creator: User) -> None:
    bench = Bench(sessions, creator, dunning={"gaps_days": [1], "end": "pause"})
    bench.charge(SHORT)
    bench.charge(SHORT, START + DAY)
    assert (bench.subscription.status, bench.owed.state) == ("paused", "uncollected")
    with sessions.begin() as session:
        assert payment_store.ask_now(session, bench.row.id, "other", None, START + 40 * DAY) == 1
    charge = bench.begin(START + 40 * DAY)
    assert charge is not None
    assert charge.method == "other"
    assert bench.settle(charge.number, Succeeded("ch"), START + 40 * DAY) == "paid"
    after = bench.subscription
    assert (after.status, after.next_billing_at) == ("active", START + 40 * DAY)
    run(sessions, START + 40 * DAY)
    assert len(invoices(sessions)) == 2
    with sessions() as session:
        assert billing_audit.differences(session) == []


def test_a_late_notice_recovers_as_well(sessions: Sessions, creator: User) -> None:
    bench = Bench(sessions, creator, dunning={"gaps_days": [], "end": "pause"})
    bench.charge(SHORT)
    assert (bench.subscription.status, bench.owed.state) == ("paused", "uncollected")
    bench.settle(1, Succeeded("ch"), START + DAY)
    after = bench.subscription
    assert (after.status, after.next_billing_at) == ("active", after.period_end), "what is paid is not billed again"


def test_a_lost_card_is_not_asked_again(bench: Bench) -> None:
    bench.charge(Declined("lost_card", retryable=False))
    assert bench.begin(START + 2 * DAY) is None
    assert bench.events()[-1] == "payment.failed"
    assert bench.owed.next_attempt_at == START + 7 * DAY
    with bench.sessions.begin() as session:
        payment_store.ask_now(session, bench.row.id, "new card", None, START + 3 * DAY)
    bench.charge(Succeeded("ch"), START + 3 * DAY)
    assert bench.owed.state == "paid"


def test_a_key_that_the_gateway_has_forgotten_is_not_used(bench: Bench) -> None:
    bench.begin()
    with bench.sessions.begin() as session:
        session.execute(text("UPDATE payment_attempts SET started_at = clock_timestamp() - interval '25 hours'"))
    assert bench.begin() is None
    with bench.sessions() as session:
        (difference,) = billing_audit.differences(session)
    assert difference.check == "outcome of a charge"
    assert bench.settle(1, Succeeded("ch_1")) == "paid", "a notice, or a person, told"


def test_a_credit_note_takes_from_what_is_owed_first(bench: Bench) -> None:
    note = bench.note(500)
    assert (note.number, note.tax_minor, note.to_receivable_minor) == (1, 100, 500)
    assert bench.note(500).id == note.id, "the same request, the same note"
    charge = bench.begin()
    assert charge is not None
    assert charge.amount_minor == 1500
    bench.settle(1, Succeeded("ch_1"))
    rest = bench.note(1500, "n2")
    assert (rest.number, rest.tax_minor, rest.to_credit_minor) == (2, 300, 1500)
    with pytest.raises(Permanent, match=r"invoice\.overcredited.* 0 minor"):
        bench.note(1, "n3")
    assert balances(bench.sessions) == {"receivable": 0, "revenue": 0, "tax": 0, "cash": 1500, "credit": -1500}


def test_a_refund_goes_back_and_one_that_fails_becomes_credit(bench: Bench) -> None:
    bench.charge(Succeeded("ch_1"))
    for number, outcome in enumerate([Succeeded("re_1"), Declined("expired_card", retryable=False)]):
        assert bench.note(600, f"n{number}", refund=True).to_cash_minor == 600
        with bench.sessions.begin() as session:
            (refund_id,) = billing_credit.refunds_due(session)
            asked = billing_credit.load_refund(session, refund_id)
            assert asked is not None
            assert (asked.reference, asked.amount_minor) == ("ch_1", 600)
            for _ in range(2):
                billing_credit.settle_refund(session, refund_id, outcome, START)
    assert balances(bench.sessions)["cash"] == 1400
    assert balances(bench.sessions)["credit"] == -600
    with bench.sessions() as session:
        assert session.scalars(select(Payment.refunded_minor)).all() == [1200]
        assert sorted(session.scalars(select(Refund.state))) == ["failed", "succeeded"]


def test_what_is_written_off_is_gone_and_late_money_is_credit(bench: Bench) -> None:
    charge = bench.begin()
    assert charge is not None
    with bench.sessions.begin() as session:
        assert billing_credit.write_off(session, bench.invoice.id, START) == 2000
        assert billing_credit.write_off(session, bench.invoice.id, START) == 0
    assert bench.owed.state == "written_off"
    bench.settle(1, Succeeded("ch_1"))
    assert balances(bench.sessions) == {
        "receivable": 0,
        "revenue": -1600,
        "tax": -400,
        "write_off": 2000,
        "cash": 2000,
        "credit": -2000,
    }


def test_what_is_due_is_found_once_a_page(bench: Bench) -> None:
    with bench.sessions() as session:
        assert payment_store.due(session, START) == [bench.invoice.id]
        assert payment_store.due(session, START, after=bench.invoice.id) == []
        assert payment_store.due(session, START - DAY) == []
        assert session.scalars(select(PaymentAttempt)).all() == []
    with pytest.raises(Permanent, match=r"invoice\.not_found"), bench.sessions.begin() as session:
        payment_store.begin(session, uuid.uuid4(), "embedded", START)
