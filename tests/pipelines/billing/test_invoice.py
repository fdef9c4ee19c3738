"""An invoice adds up, whatever is on it; a change gives back no more than was asked for."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.billing.changes import credit_lines, credit_note, debit_lines
from huntaze.pipelines.billing.coupons import Coupon, DiscountRounding, take_off
from huntaze.pipelines.billing.invoice import Draft, draft_invoice
from huntaze.pipelines.billing.periods import FOREVER, Cycle, Period
from huntaze.pipelines.billing.plans import Plan, Price, Subscription, Usage
from huntaze.pipelines.billing.pricing import Flat, PerUnit
from huntaze.pipelines.billing.proration import Basis, Proration, fraction, unused
from huntaze.pipelines.billing.tax import TaxRate, taxes_on
from tests.pipelines.billing.builders import billed, flat_plan, span, subscribed, utc

JUNE, MAY = span("2025-06-01", "2025-07-01"), span("2025-05-01", "2025-06-01")
CYCLE = Cycle(utc("2025-05-01"))
AMOUNTS = st.integers(0, 10**7)
RATES = st.lists(st.builds(TaxRate, st.just("VAT"), st.decimals(0, 30, places=2), st.booleans()), max_size=3)
COUPONS = st.lists(
    st.builds(
        Coupon, st.just("SALE"), st.decimals(0, 100, places=2), prices=st.sampled_from([frozenset(), frozenset("b")])
    )
    | st.builds(Coupon, st.just("OFF"), amount_minor=AMOUNTS),
    max_size=3,
)
INSIDE = st.timedeltas(timedelta(0), JUNE.end - JUNE.start).map(lambda passed: JUNE.start + passed)
RULES = st.builds(Proration, st.sampled_from(Basis))


def adds_up(draft: Draft) -> None:
    assert draft.total_minor == sum(line.total_minor for line in draft.lines)
    assert all(line.net_minor + line.tax_minor == line.total_minor for line in draft.lines)
    on_top = sum(tax.amount_minor for line in draft.lines for tax in line.taxes if not tax.rate.inclusive)
    assert draft.total_minor == draft.subtotal_minor - draft.discount_minor + on_top
    assert draft.discount_minor == sum(discount.amount_minor for discount in draft.discounts)
    assert draft.due_minor == draft.total_minor - draft.credit_applied_minor >= 0
    assert len({line.source_key for line in draft.lines}) == len(draft.lines)


@settings(max_examples=150)
@given(AMOUNTS, AMOUNTS, st.integers(0, 500), COUPONS, RATES, AMOUNTS, st.sampled_from(DiscountRounding))
def test_an_invoice_adds_up(
    fee: int,
    paid: int,
    used: int,
    coupons: list[Coupon],
    rates: list[TaxRate],
    credit: int,
    rounding: DiscountRounding,
) -> None:
    prices = (Price("a", "Fee", Flat(Decimal(fee))), Price("b", "Videos", PerUnit(Decimal("12.5")), "videos"))
    plan = Plan("p", "P", "USD", prices, discount_rounding=rounding)
    carried = credit_lines([billed(paid, MAY, *rates)], utc("2025-05-12"), CYCLE, plan.proration, change="1")
    usage = [Usage("videos", Decimal(used)), Usage("storage", Decimal(9))]
    draft = draft_invoice(
        plan,
        subscribed(CYCLE),
        JUNE,
        previous=MAY,
        usage=usage,
        carried=carried,
        coupons=coupons,
        credit_minor=credit,
        tax_rates=rates,
    )
    adds_up(draft)
    assert draft.credit_applied_minor <= credit
    assert all(0 <= line.discount_minor <= max(line.amount_minor, 0) for line in draft.lines)


@given(st.integers(-(10**7), 10**7), RATES)
def test_a_price_with_its_tax_is_the_price(amount: int, rates: list[TaxRate]) -> None:
    taxes = taxes_on(amount, rates)
    inside = sum(tax.amount_minor for tax in taxes if tax.rate.inclusive)
    assert abs(inside) <= abs(amount)
    assert [tax.amount_minor for tax in taxes_on(-amount, rates)] == [-tax.amount_minor for tax in taxes]


@given(st.lists(AMOUNTS, max_size=10), st.decimals(0, 100, places=2))
def test_a_percentage_on_the_total_is_within_half_a_unit(bases: list[int], percent: Decimal) -> None:
    off = take_off(Coupon("c", percent), bases)
    assert abs(sum(off) - sum(bases) * Fraction(percent) / 100) <= Fraction(1, 2)
    assert all(0 <= less <= base for less, base in zip(off, bases, strict=True))


@given(st.lists(INSIDE, max_size=6), st.sampled_from([Proration(), Proration(Basis.DAY)]))
def test_the_parts_of_a_period_are_the_whole(cuts: list[datetime], rule: Proration) -> None:
    moments = [JUNE.start, *sorted(cuts), JUNE.end]
    parts = [Period(a, b) for a, b in pairwise(moments)]
    assert sum(fraction([part], JUNE, "UTC", rule) for part in parts) == 1
    assert fraction(parts, JUNE, "UTC", rule) == 1


@given(AMOUNTS, st.lists(INSIDE, min_size=1, max_size=5), RULES, RATES)
def test_changes_give_back_no_more_than_was_billed(
    amount: int, at: list[datetime], rule: Proration, rates: list[TaxRate]
) -> None:
    """A plan changed again and again to one of the same price: no more is given back than was billed."""
    plan, subscription = flat_plan(amount, rule=rule), subscribed(CYCLE)
    lines = list(draft_invoice(plan, subscription, JUNE, tax_rates=rates).lines)
    balance, asked = sum(line.price_minor for line in lines), 0
    for nth, moment in enumerate(sorted(at)):
        back = credit_lines(lines, moment, CYCLE, rule, change=str(nth))
        assert -sum(line.amount_minor for line in back) <= sum(line.price_minor for line in lines)
        rest = Period(moment, JUNE.end)
        lines = list(debit_lines(plan, subscription, rest, change=str(nth)))
        asked = sum(line.amount_minor for line in lines)
        balance += asked + sum(line.amount_minor for line in back)
    assert balance >= asked
    if rule.basis is Basis.SECOND:
        assert abs(balance - amount) <= len(at), "a unit of rounding a change at most"


@given(AMOUNTS, RATES)
def test_a_credit_note_of_all_is_the_line(amount: int, rates: list[TaxRate]) -> None:
    line = billed(amount, JUNE, *rates)
    note = credit_note(line, Fraction(1))
    assert (note.net_minor, note.tax_minor, note.total_minor) == (line.net_minor, line.tax_minor, line.total_minor)


def test_the_next_invoice_gives_back_what_a_discount_left() -> None:
    bought = draft_invoice(flat_plan(10_000), subscribed(CYCLE), JUNE, coupons=[Coupon("HALF", Decimal(50))]).lines
    (back,) = credit_lines(bought, utc("2025-06-16"), CYCLE, Proration(), change="1")
    assert back.amount_minor == -2500


def test_a_flat_fee_is_one_and_seats_are_counted() -> None:
    prices = (Price("a", "Fee", Flat(Decimal(100))), Price("b", "Seats", PerUnit(Decimal(10))))
    lines = draft_invoice(Plan("p", "P", "USD", prices), subscribed(CYCLE, quantity=3), JUNE).lines
    assert [(line.quantity, line.unit_amount, line.amount_minor) for line in lines] == [(1, 100, 100), (3, 10, 30)]


def test_inclusive_tax_is_taken_out_and_exclusive_put_on_top() -> None:
    draft = draft_invoice(
        flat_plan(12_000), subscribed(CYCLE), JUNE, tax_rates=[TaxRate("VAT", Decimal(20), inclusive=True)]
    )
    assert (draft.total_minor, draft.tax_minor, draft.lines[0].net_minor) == (12_000, 2000, 10_000)
    draft = draft_invoice(flat_plan(10_000), subscribed(CYCLE), JUNE, tax_rates=[TaxRate("VAT", Decimal(20))])
    assert (draft.total_minor, draft.tax_minor, draft.lines[0].net_minor) == (12_000, 2000, 10_000)


def test_an_invoice_that_is_a_credit_goes_to_the_balance() -> None:
    back = credit_lines([billed(9000, MAY)], MAY.start, CYCLE, Proration(), change="1")
    draft = draft_invoice(flat_plan(3000), subscribed(CYCLE), JUNE, carried=back, credit_minor=500)
    assert (draft.total_minor, draft.credit_applied_minor, draft.due_minor) == (-6000, -6000, 0)


def test_trial_pause_and_end_are_not_owed() -> None:
    subscription = subscribed(CYCLE)
    cases: list[tuple[Subscription, int]] = [
        (replace(subscription, trial_end=utc("2025-06-16")), 1500),
        (replace(subscription, ends_at=utc("2025-06-11")), 1000),
        (replace(subscription, pauses=(span("2025-06-11", "2025-06-21"),)), 2000),
        (replace(subscription, pauses=(Period(utc("2025-06-11"), FOREVER),)), 1000),
        (replace(subscription, ends_at=utc("2025-06-01")), 0),
        (replace(subscription, trial_end=utc("2025-08-01")), 0),
    ]
    assert [draft_invoice(flat_plan(3000), one, JUNE).total_minor for one, _ in cases] == [owed for _, owed in cases]


def test_usage_without_a_price_and_a_price_without_usage_make_no_line() -> None:
    plan = Plan("p", "P", "USD", (Price("b", "Videos", PerUnit(Decimal(5)), "videos"),))
    assert draft_invoice(plan, subscribed(CYCLE), JUNE, usage=[Usage("storage", Decimal(5))]).lines == ()


def test_usage_of_the_first_and_of_the_next_invoice_have_their_own_keys() -> None:
    plan = Plan("p", "P", "USD", (Price("b", "Videos", PerUnit(Decimal(5)), "videos"),))
    usage = [Usage("videos", Decimal(5))]
    first = draft_invoice(plan, subscribed(CYCLE), MAY, usage=usage).lines
    second = draft_invoice(plan, subscribed(CYCLE), JUNE, previous=MAY, usage=usage).lines
    assert first[0].source_key != second[0].source_key
    assert second[0].period == MAY


def test_usage_is_never_given_back_not_even_that_of_the_first_invoice() -> None:
    prices = (Price("a", "Fee", Flat(Decimal(3000))), Price("b", "Videos", PerUnit(Decimal(5)), "videos"))
    plan, subscription = Plan("p", "P", "USD", prices), subscribed(CYCLE, "2025-04-24")
    first = draft_invoice(plan, subscription, MAY, usage=[Usage("videos", Decimal(100))]).lines
    assert [line.amount_minor for line in first] == [3000, 500]
    assert first[1].period == span("2025-04-24", "2025-05-01"), "before the first period: in the trial"
    back = credit_lines(first, MAY.start, CYCLE, Proration(), change="1")
    assert [(line.price_code, line.amount_minor) for line in back] == [("a", -3000)]


def test_a_fee_in_arrears_is_of_the_period_that_ended() -> None:
    plan = Plan("p", "P", "USD", (Price("a", "Fee", Flat(Decimal(100)), in_arrears=True),))
    assert draft_invoice(plan, subscribed(CYCLE), MAY).lines == ()
    assert draft_invoice(plan, subscribed(CYCLE), JUNE, previous=MAY).lines[0].period == MAY


def test_whole_periods_give_nothing_back() -> None:
    rest = span("2025-06-16", "2025-07-01")
    assert unused(JUNE, rest, JUNE, "UTC", Proration(Basis.WHOLE)) == 0
    assert unused(JUNE, rest, JUNE, "UTC") == Fraction(1, 2)
