"""Disputes: what a bank takes back is booked once, however often and in whatever order it is told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from huntaze.models import billing_audit, billing_credit, payment_disputes
from huntaze.models.billing_payments import Dispute, Refund
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import Declined, DisputeNotice, DisputeState, Movement, Succeeded
from tests.models.billing_kit import START, balances
from tests.models.test_payment_store import Bench

TAKEN = (Movement("txn_1:funds", -2000, "EUR"), Movement("txn_1:fee", -1500, "USD"))
BACK = (*TAKEN, Movement("txn_2:funds", 2000, "EUR"))
HOUR = timedelta(hours=1)
OPENED = DisputeNotice("ch_1", "dp_1", DisputeState.OPEN, "fraudulent", 2000, "EUR", START)
WITHDRAWN = replace(OPENED, told_at=START + HOUR, movements=TAKEN)
WON = replace(OPENED, state=DisputeState.WON, told_at=START + 2 * HOUR, movements=BACK)
LOST = replace(WITHDRAWN, state=DisputeState.LOST, told_at=START + 2 * HOUR)


@pytest.fixture
def bench(sessions: Sessions, creator: User) -> Iterator[Bench]:
    """An invoice of 20.00 EUR that was paid."""
    made = Bench(sessions, creator)
    made.charge(Succeeded("ch_1"))
    yield made
    with sessions() as session:
        assert billing_audit.differences(session) == []


def tell(bench: Bench, *notices: DisputeNotice, gateway: str = "embedded") -> list[str]:
    told = []
    for notice in notices:
        with bench.sessions.begin() as session:
            told.append(payment_disputes.settle(session, gateway, notice, START))
    return told


def state(bench: Bench) -> str:
    with bench.sessions() as session:
        return session.scalars(select(Dispute.state)).one()


def test_what_is_taken_back_leaves_the_cash_and_may_come_again(bench: Bench) -> None:
    assert tell(bench, OPENED, WITHDRAWN, WITHDRAWN) == [
        "open, 0 movements booked",
        "open, 2 movements booked",
        "open, 0 movements booked",
    ]
    assert balances(bench.sessions) == {"receivable": 0, "revenue": -1600, "tax": -400, "cash": -1500, "dispute": 3500}
    assert (bench.owed.state, bench.begin()) == ("paid", None), "the card is not charged again for it"
    tell(bench, WON)
    assert balances(bench.sessions) == {"receivable": 0, "revenue": -1600, "tax": -400, "cash": 500, "dispute": 1500}
    assert bench.events()[2:] == ["payment.disputed", "payment.dispute_closed"]


@pytest.mark.parametrize("end", [WON, LOST])
def test_any_order_comes_to_the_same(bench: Bench, end: DisputeNotice) -> None:
    for number, order in enumerate(permutations((OPENED, WITHDRAWN, end))):
        tell(bench, *(replace(one, external_id=f"dp_{number}", movements=_of(number, one)) for one in order))
    with bench.sessions() as session:
        assert set(session.scalars(select(Dispute.state))) == {end.state}
        booked = text("SELECT count(*), sum(amount_minor) FROM dispute_movements WHERE currency = 'EUR'")
        assert session.execute(booked).one() == ((12, 0) if end is WON else (6, -12_000))
    assert sorted(bench.events()[2:]) == ["payment.dispute_closed"] * 6 + ["payment.disputed"] * 6


def _of(number: int, notice: DisputeNotice) -> tuple[Movement, ...]:
    return tuple(replace(one, key=f"{number}:{one.key}") for one in notice.movements)


def test_an_appeal_opens_it_again_and_an_end_at_the_same_second_holds(bench: Bench) -> None:
    tell(bench, LOST, replace(OPENED, told_at=LOST.told_at))
    assert state(bench) == "lost"
    tell(bench, replace(OPENED, told_at=LOST.told_at + HOUR))
    assert state(bench) == "open"


def test_what_nobody_paid_here_is_passed_over(bench: Bench) -> None:
    assert tell(bench, replace(WITHDRAWN, reference="pi_of_another")) == ["not of a payment of ours"]
    assert tell(bench, WITHDRAWN, gateway="stripe") == ["not of a payment of ours"]


def test_what_is_disputed_is_not_given_back_beside(bench: Bench) -> None:
    tell(bench, WITHDRAWN)
    for refund in (True, False):
        with pytest.raises(Permanent, match=r"invoice\.disputed"):
            bench.note(500, refund=refund)
    tell(bench, WON)
    assert bench.note(500, refund=True).to_cash_minor == 500


def test_a_refund_that_a_dispute_overtook_becomes_no_credit(bench: Bench) -> None:
    bench.note(2000, refund=True)
    tell(bench, WITHDRAWN)
    with bench.sessions.begin() as session:
        (refund_id,) = billing_credit.refunds_due(session)
        billing_credit.settle_refund(session, refund_id, Declined("charge_disputed", retryable=False), START)
        assert session.get_one(Refund, refund_id).state == "overtaken"
    assert balances(bench.sessions) == {"receivable": 0, "revenue": 0, "tax": 0, "cash": -1500, "dispute": 1500}


def test_a_movement_is_written_once_and_the_audit_compares_it(bench: Bench) -> None:
    tell(bench, WITHDRAWN)
    with pytest.raises(IntegrityError, match="written once"), bench.sessions.begin() as session:
        session.execute(text("UPDATE dispute_movements SET amount_minor = 1"))
    with bench.sessions.begin() as session:
        session.execute(text("ALTER TABLE dispute_movements DISABLE TRIGGER written_once"))
        session.execute(text("UPDATE dispute_movements SET amount_minor = -1999 WHERE currency = 'EUR'"))
    with bench.sessions() as session:
        found = {(one.check, one.subject) for one in billing_audit.differences(session)}
    assert found == {("accounts against documents", f"EUR {account}") for account in ("cash", "dispute")}
    with bench.sessions.begin() as session:
        session.execute(text("UPDATE dispute_movements SET amount_minor = -2000 WHERE currency = 'EUR'"))
        session.execute(text("ALTER TABLE dispute_movements ENABLE TRIGGER written_once"))
