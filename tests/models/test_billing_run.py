"""The run: each period once, whatever happens; gapless numbers; who is held and why."""

import threading
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from huntaze.models import (
    billing_audit,
    billing_books,
    billing_run,
    billing_store,
    billing_usage,
    billing_watch,
    plan_store,
)
from huntaze.models.base import new_id
from huntaze.models.billing_invoices import Invoice, InvoiceLine, Receivable
from huntaze.models.billing_plans import Coupon, Plan, PlanPrice, TaxRate
from huntaze.models.billing_run import RunPolicy
from huntaze.models.billing_subscriptions import BillingItem, Subscription
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.plan_store import NewPrice
from huntaze.models.users import User
from huntaze.pipelines.billing.pricing import Flat
from tests.models.billing_kit import START, balances, day, invoices, make_plan, many, run, starts, subscribe


def reread(sessions: Sessions, row: Subscription) -> Subscription:
    with sessions() as session:
        return session.get_one(Subscription, row.id)


def lines_of(sessions: Sessions, invoice: Invoice) -> list[tuple[str, int]]:
    with sessions() as session:
        query = select(InvoiceLine).filter_by(invoice_id=invoice.id).order_by(InvoiceLine.position)
        return [(line.description, line.amount_minor) for line in session.scalars(query)]


def test_a_period_becomes_an_invoice_books_and_an_event(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator, method="card")
    assert run(sessions, START).numbers == (1,)
    (invoice,) = invoices(sessions)
    assert (invoice.label, invoice.total_minor, invoice.due_minor) == ("INV-000001", 2000, 2000)
    assert (invoice.period_start, invoice.period_end) == (START, day(2025, 2, 28))
    assert lines_of(sessions, invoice) == [("Pro", 2000)]
    assert balances(sessions) == {"receivable": 2000, "revenue": -2000}
    with sessions() as session:
        owed = session.get_one(Receivable, invoice.id)
        (event,) = session.scalars(select(Event))
    assert (owed.state, owed.open_minor, owed.next_attempt_at) == ("open", 2000, START)
    assert (event.type, event.subject_id, event.data["number"]) == ("invoice.issued", invoice.id, 1)
    after = reread(sessions, row)
    assert (after.period_start, after.next_billing_at) == (START, day(2025, 2, 28))


def test_what_is_not_due_is_left_and_a_second_run_does_nothing(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    assert run(sessions, day(2025, 1, 31, 8)).numbers == ()
    run(sessions, START)
    assert run(sessions, START).numbers == ()
    assert run(sessions, day(2025, 2, 27)).numbers == ()
    assert len(invoices(sessions)) == 1


def test_after_a_silence_each_period_is_billed_once(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    run(sessions, day(2025, 3, 31))
    assert starts(invoices(sessions)) == ["2025-01-31", "2025-02-28", "2025-03-31"]


def test_more_periods_than_the_bound_wait_for_a_person(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator)
    billed = run(sessions, day(2025, 6, 1))
    assert billed.held == (row.id,)
    held = reread(sessions, row)
    assert held.held_code == "billing.too_many_periods"
    assert held.held_message is not None
    assert "3 periods" in held.held_message
    assert invoices(sessions) == []
    with sessions.begin() as session:
        billing_store.release(session, row.id, day(2025, 6, 1))
    run(sessions, day(2025, 6, 1))
    assert len(invoices(sessions)) == 5


def test_usage_is_billed_in_arrears_and_what_is_late_with_the_next(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator)
    run(sessions, START)

    def count(key: str, at: object) -> int:
        unit = Metered(row.id, "videos", Decimal(1), at, key)  # type: ignore[arg-type]
        with sessions.begin() as session:
            return billing_usage.record(session, [unit])

    assert count("v1", day(2025, 2, 3)) == 1
    assert count("v1", day(2025, 2, 3)) == 0, "told twice, counted once"
    assert count("v2", day(2025, 3, 1)) == 1
    run(sessions, day(2025, 2, 28))
    assert count("late", day(2025, 2, 5)) == 1
    run(sessions, day(2025, 3, 31))
    _, february, march = invoices(sessions)
    assert lines_of(sessions, february) == [("Pro", 2000), ("Videos", 25)]
    assert lines_of(sessions, march) == [("Pro", 2000), ("Videos", 50)]


def test_what_cannot_be_read_stops_nobody_else(sessions: Sessions, creator: User) -> None:
    zone, terms, sound = (subscribe(sessions, creator) for _ in range(3))
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(zone.id, "videos", Decimal(1), day(2025, 1, 1), "v1")])
        session.execute(update(Subscription).filter_by(id=zone.id).values(time_zone="Mars/Olympus"))
        session.execute(update(PlanPrice).filter_by(plan_id=terms.plan_id).values(terms={"kind": "barter"}))
    assert set(run(sessions, START).held) == {zone.id, terms.id}
    assert [one.subscription_id for one in invoices(sessions)] == [sound.id]
    assert reread(sessions, zone).held_code == "billing.unknown_zone"
    assert reread(sessions, terms).held_code == "billing.bad_terms"


def test_what_fails_on_the_way_gives_its_usage_back_and_stops_nobody_else(sessions: Sessions, creator: User) -> None:
    broken, sound = subscribe(sessions, creator), subscribe(sessions, creator)
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(broken.id, "videos", Decimal(1), day(2025, 1, 1), "v1")])
        session.add(BillingItem(subscription_id=broken.id, source_key="x", line={"of": "another deploy"}))
    assert run(sessions, START).held == (broken.id,)
    assert [(one.subscription_id, one.number) for one in invoices(sessions)] == [(sound.id, 1)]
    assert reread(sessions, broken).held_code == "billing.cannot_bill"
    with sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM usage_records WHERE invoice_id IS NOT NULL")) == 0


def test_coupons_taxes_and_credit(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        coupon = Coupon(code="HALF", percent=Decimal(50), periods=1)
        rate = TaxRate(name="VAT", percent=Decimal(20))
        session.add_all([coupon, rate])
        session.flush()
        for _ in range(2):
            billing_books.grant_credit(session, creator.id, "EUR", 300, reason="sorry", source_key="x", at=START)
    row = subscribe(sessions, creator, coupon_id=coupon.id, coupon_periods=1, tax_rate_id=rate.id)
    run(sessions, day(2025, 2, 28))
    first, second = invoices(sessions)
    assert (first.subtotal_minor, first.discount_minor, first.tax_minor, first.total_minor) == (2000, 1000, 200, 1200)
    assert (first.credit_applied_minor, first.due_minor) == (300, 900)
    assert (second.discount_minor, second.due_minor) == (0, 2400)
    assert reread(sessions, row).coupon_id is None
    assert balances(sessions) == {"receivable": 3300, "revenue": -3000, "tax": -600, "credit": 0, "write_off": 300}


def test_credit_is_spent_once_though_two_subscriptions_share_it(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    subscribe(sessions, creator)
    with sessions.begin() as session:
        billing_books.grant_credit(session, creator.id, "EUR", 2500, reason="sorry", source_key="x", at=START)
    run(sessions, START)
    assert [one.due_minor for one in invoices(sessions)] == [0, 1500]


def test_numbers_have_no_gaps_though_workers_crash(sessions: Sessions) -> None:
    """500 invoices, 8 workers, one transaction in ten rolled back at its end."""
    with sessions.begin() as session:
        many(session, make_plan(session).id, 500)
    crashes = []

    def work(seed: int) -> None:
        random = Random(seed)
        while True:
            with sessions() as session:
                billed = billing_run.bill_batch(session, START, RunPolicy(batch=5))
                if not billed.claimed:
                    return
                if random.random() < 0.1:
                    crashes.append(billed.numbers)
                    session.rollback()
                else:
                    session.commit()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(sessions, START)  # what a crash left after the others had gone home
    found = invoices(sessions)
    assert crashes
    assert [one.number for one in found] == list(range(1, 501))
    assert len({one.subscription_id for one in found}) == 500


def test_the_same_period_cannot_be_written_twice_and_stops_nobody_else(sessions: Sessions, creator: User) -> None:
    again, sound = subscribe(sessions, creator), subscribe(sessions, creator)
    run(sessions, START)
    with sessions.begin() as session:  # as if somebody had set the clock back by hand
        session.execute(update(Subscription).filter_by(id=again.id).values(next_billing_at=START))
    billed = run(sessions, day(2025, 2, 28))
    assert billed.held == (again.id,)
    assert starts(invoices(sessions, again.id)) == ["2025-01-31"]
    assert starts(invoices(sessions, sound.id)) == ["2025-01-31", "2025-02-28"]
    held = reread(sessions, again)
    assert held.held_code == "billing.cannot_bill"
    assert "uq_invoices_subscription_id_period_start" in (held.held_message or "")


def test_what_is_written_stays(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    run(sessions, START)
    for statement in ("UPDATE invoices SET total_minor = 0", "DELETE FROM invoice_lines", "DELETE FROM ledger_entries"):
        with pytest.raises(IntegrityError, match="is written once"), sessions.begin() as session:
            session.execute(text(statement))


def test_usage_that_has_no_price_costs_nothing_and_alarms_nobody(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        fee = [NewPrice("fee", "Pro", Flat(Decimal(2000)))]
        bare = Plan(id=new_id(), code="bare", currency="EUR", interval="month", name="Bare")
        plan_id = plan_store.create_plan(session, bare, fee).id
    row = subscribe(sessions, creator)
    told = [(START, "a"), (day(2025, 2, 20), "late"), (day(2025, 3, 2), "c")]
    units = [Metered(row.id, "videos", Decimal(3), at, key) for at, key in told]
    run(sessions, START)
    with sessions.begin() as session:
        billing_usage.record(session, units[:1])
        billing_store.change(session, row.id, day(2025, 2, 26), plan_id=plan_id)  # bills what was used
        billing_usage.record(session, units[1:])
    run(sessions, day(2025, 2, 28))
    with sessions.begin() as session:
        billing_store.cancel(session, row.id, day(2025, 3, 3), now=True)
    with sessions() as session:
        assert billing_watch.usage_mismatches(session) == 0
        used = session.execute(text("SELECT source_key, unpriced FROM usage_records ORDER BY source_key")).all()
    assert used == [("a", False), ("c", True), ("late", True)]
    with sessions() as session:
        assert billing_audit.differences(session) == []


def test_two_prices_may_be_for_one_meter(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        prices = [NewPrice(code, code, Flat(Decimal(100)), meter="videos") for code in ("look", "keep")]
        plan = Plan(id=new_id(), code="both", currency="EUR", interval="month", name="Both")
        plan_id = plan_store.create_plan(session, plan, prices).id
    row = subscribe(sessions, creator, plan_id=plan_id)
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(row.id, "videos", Decimal(3), START, "a")])
    run(sessions, day(2025, 2, 28))
    with sessions() as session:
        assert billing_watch.usage_mismatches(session) == 0
    with sessions() as session:
        assert billing_audit.differences(session) == []


def test_usage_that_was_taken_back_stands_on_the_last_invoice_too(sessions: Sessions, creator: User) -> None:
    row = subscribe(sessions, creator)
    run(sessions, START)
    with sessions.begin() as session:
        units = [Metered(row.id, "videos", Decimal(n), day(2025, 2, 3), f"{n}") for n in (5, -5)]
        billing_usage.record(session, units)
        billing_store.cancel(session, row.id, day(2025, 2, 10), now=True)
    with sessions() as session:
        assert billing_audit.differences(session) == []
