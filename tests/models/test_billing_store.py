"""What is done to subscriptions, and what it costs."""

import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models import billing_audit, billing_credit, billing_store, billing_usage
from huntaze.models.billing_invoices import Invoice, InvoiceLine, Receivable, ReceivableState
from huntaze.models.billing_plans import TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from tests.models.billing_kit import balances, day, invoices, make_plan, run, starts, subscribe

BEGIN = day(2025, 6, 1, 0)
HALF = day(2025, 6, 16, 0)


def reread(sessions: Sessions, row: Subscription) -> Subscription:
    with sessions() as session:
        return session.get_one(Subscription, row.id)


def amounts(sessions: Sessions, invoice: Invoice) -> list[tuple[str, int]]:
    with sessions() as session:
        query = select(InvoiceLine).filter_by(invoice_id=invoice.id).order_by(InvoiceLine.description)
        return [(line.description, line.amount_minor) for line in session.scalars(query)]


def plan(sessions: Sessions, fee: int, code: str, **values: object) -> uuid.UUID:
    with sessions.begin() as session:
        return make_plan(session, fee, code=code, **values).id


def change(sessions: Sessions, row: Subscription, at: datetime, **what: object) -> None:
    with sessions.begin() as session:
        billing_store.change(session, row.id, at, **what)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _books_add_up(sessions: Sessions) -> object:
    yield
    with sessions() as session:
        assert billing_audit.differences(session) == []


def test_an_upgrade_gives_back_the_rest_and_bills_the_rest(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    change(sessions, row, HALF, plan_id=plan(sessions, 30_000, "max"))
    _, second = invoices(sessions)
    assert amounts(sessions, second) == [("Pro", 15_000), ("Unused time: Pro", -5_000)]
    assert (second.period_start, second.period_end) == (HALF, day(2025, 7, 1, 0))
    run(sessions, day(2025, 7, 1, 0))
    assert [one.total_minor for one in invoices(sessions)] == [10_000, 10_000, 30_000]


def test_a_downgrade_leaves_credit_for_the_next_invoices(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 30_000, "max"))
    run(sessions, BEGIN)
    change(sessions, row, HALF, plan_id=plan(sessions, 10_000, "pro"))
    _, second = invoices(sessions)
    assert (second.total_minor, second.credit_applied_minor, second.due_minor) == (-10_000, -10_000, 0)
    assert balances(sessions)["credit"] == -10_000
    run(sessions, day(2025, 7, 1, 0))
    third = invoices(sessions)[2]
    assert (third.total_minor, third.credit_applied_minor, third.due_minor) == (10_000, 10_000, 0)


def test_what_is_given_back_has_the_taxes_that_were_billed(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        rate = TaxRate(name="VAT", percent=Decimal(20))
        session.add(rate)
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"), tax_rate_id=rate.id)
    run(sessions, BEGIN)
    change(sessions, row, HALF, quantity=0, plan_id=plan(sessions, 0, "free"))
    first, second = invoices(sessions)
    assert (first.total_minor, second.total_minor, second.tax_minor) == (12_000, -6_000, -1_000)


def test_a_change_twice_in_a_period_gives_back_each_part_once(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 30_000, "a"))
    run(sessions, BEGIN)
    change(sessions, row, day(2025, 6, 11, 0), plan_id=plan(sessions, 60_000, "b"))
    change(sessions, row, day(2025, 6, 21, 0), plan_id=plan(sessions, 30_000, "c"))
    assert [one.total_minor for one in invoices(sessions)] == [30_000, 40_000 - 20_000, 10_000 - 20_000]


def test_another_interval_begins_a_new_cycle(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    change(sessions, row, HALF, plan_id=plan(sessions, 100_000, "yearly", interval="year"))
    second = invoices(sessions)[1]
    assert (second.period_start, second.period_end) == (HALF, day(2026, 6, 16, 0))
    assert second.total_minor == 100_000 - 5_000


def test_a_change_from_the_next_period_on(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    change(sessions, row, HALF, plan_id=plan(sessions, 30_000, "max"), now=False)
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(row.id, "videos", Decimal(4), HALF, "v")])
    assert len(invoices(sessions)) == 1
    run(sessions, day(2025, 7, 1, 0))
    assert amounts(sessions, invoices(sessions)[1]) == [("Pro", 30_000), ("Videos", 100)]


def test_usage_is_billed_by_the_plan_it_happened_under(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(row.id, "videos", Decimal(4), day(2025, 6, 3), "v")])
    change(sessions, row, HALF, quantity=2)
    assert amounts(sessions, invoices(sessions)[1]) == [("Pro", 5_000), ("Unused time: Pro", -5_000), ("Videos", 100)]


def test_a_preview_is_the_invoice_and_changes_nothing(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    other = plan(sessions, 30_000, "max")
    with sessions.begin() as session:
        draft = billing_store.preview(session, row.id, HALF, plan_id=other)
    assert draft is not None
    assert reread(sessions, row).plan_id == row.plan_id
    assert len(invoices(sessions)) == 1
    change(sessions, row, HALF, plan_id=other)
    assert invoices(sessions)[1].total_minor == draft.total_minor == 10_000


def test_pause_and_resume(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    with sessions.begin() as session:
        billing_store.pause(session, row.id, HALF)
    run(sessions, day(2025, 9, 1, 0))
    assert len(invoices(sessions)) == 1, "nothing falls due in a pause"
    with sessions.begin() as session:
        billing_store.resume(session, row.id, day(2025, 9, 16, 0))
    run(sessions, day(2025, 9, 16, 0))
    second = invoices(sessions)[1]
    assert (second.period_start, second.period_end) == (day(2025, 9, 16, 0), day(2025, 10, 1, 0))
    assert amounts(sessions, second) == [("Pro", 5_000), ("Unused time: Pro", -5_000)]


def test_a_cancel_at_the_end_bills_the_last_usage(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    with sessions.begin() as session:
        billing_store.cancel(session, row.id, HALF)
        billing_usage.record(session, [Metered(row.id, "videos", Decimal(2), day(2025, 6, 20), "v")])
    assert reread(sessions, row).status == "active"
    billed = run(sessions, day(2025, 12, 1, 0))
    assert billed.ended == 1
    after = reread(sessions, row)
    assert (after.status, after.ended_at) == ("cancelled", day(2025, 7, 1, 0))
    assert amounts(sessions, invoices(sessions)[1]) == [("Videos", 50)]


def test_a_cancel_at_once_gives_back_if_it_is_asked_to(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    with sessions.begin() as session:
        billing_store.cancel(session, row.id, HALF, now=True, give_back=True)
    assert reread(sessions, row).status == "cancelled"
    assert balances(sessions)["credit"] == -5_000
    with sessions.begin() as session:
        billing_store.cancel(session, row.id, HALF, now=True)
    assert len(invoices(sessions)) == 2, "once"


def test_a_trial_costs_nothing_and_then_it_begins(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro", trial_days=14))
    run(sessions, day(2025, 6, 14, 0))
    assert invoices(sessions) == []
    run(sessions, day(2025, 6, 15, 0))
    assert starts(invoices(sessions)) == ["2025-06-15"]
    other = subscribe(sessions, creator, BEGIN, plan_id=row.plan_id)
    with sessions.begin() as session:
        billing_store.cancel(session, other.id, day(2025, 6, 3, 0), now=True)
    assert reread(sessions, other).status == "cancelled"
    assert len(invoices(sessions)) == 1


def test_monthly_on_the_first_is_one_case(sessions: Sessions, creator: User) -> None:
    monthly = plan(sessions, 3_000, "pro")
    subscribe(sessions, creator, HALF, plan_id=monthly, anchor=day(2025, 1, 1, 0))
    run(sessions, day(2025, 7, 1, 0))
    assert [(one.total_minor, one.period_end) for one in invoices(sessions)] == [
        (1_500, day(2025, 7, 1, 0)),
        (3_000, day(2025, 8, 1, 0)),
    ]


def test_what_cannot_be_done_says_why(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    dollars = plan(sessions, 1, "usd", currency="USD")
    with pytest.raises(Permanent, match=r"subscription\.other_currency"):
        change(sessions, row, HALF, plan_id=dollars)
    with pytest.raises(Permanent, match=r"subscription\.too_early"):
        change(sessions, row, BEGIN, quantity=2)
    with pytest.raises(Permanent, match=r"subscription\.not_found"):
        change(sessions, Subscription(id=uuid.uuid4()), HALF)
    with pytest.raises(Permanent, match=r"subscription\.not_paused"), sessions.begin() as session:
        billing_store.resume(session, row.id, HALF)
    with sessions.begin() as session:
        billing_store.cancel(session, row.id, HALF, now=True)
    with pytest.raises(Permanent, match=r"subscription\.not_active"):
        change(sessions, row, day(2025, 6, 20), quantity=2)


def test_a_change_first_bills_what_is_due(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    change(sessions, row, HALF, quantity=3)
    assert [one.total_minor for one in invoices(sessions)] == [10_000, 0]


def _credited(session: Session, invoice_id: uuid.UUID) -> None:
    billing_credit.credit_note(session, invoice_id, 7500, reason="sorry", source_key="n", at=BEGIN)


def _given_up(session: Session, invoice_id: uuid.UUID) -> None:
    session.get_one(Receivable, invoice_id).state = ReceivableState.UNCOLLECTED


def _written_off(session: Session, invoice_id: uuid.UUID) -> None:
    billing_credit.write_off(session, invoice_id, BEGIN)


@pytest.mark.parametrize(("lose", "back"), [(_credited, [-1250]), (_given_up, []), (_written_off, [])])
def test_a_change_gives_back_nothing_a_second_time_nor_what_was_never_paid(
    sessions: Sessions, creator: User, lose: Callable[[Session, uuid.UUID], None], back: list[int]
) -> None:
    row = subscribe(sessions, creator, BEGIN, plan_id=plan(sessions, 10_000, "pro"))
    run(sessions, BEGIN)
    with sessions.begin() as session:
        lose(session, invoices(sessions)[0].id)
    change(sessions, row, HALF, plan_id=plan(sessions, 30_000, "max"))
    given = [amount for name, amount in amounts(sessions, invoices(sessions)[1]) if name.startswith("Unused")]
    assert given == back
