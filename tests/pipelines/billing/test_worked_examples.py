"""Worked examples that Stripe, Polar, Lago, Kill Bill and OpenMeter publish, each by its own rule, run by the domain.

Which rule a case goes by is read from what the case says, so that one more of a known kind needs no change here.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from huntaze.pipelines.billing import retries
from huntaze.pipelines.billing.changes import credit_lines, credit_note, debit_lines
from huntaze.pipelines.billing.coupons import Coupon, DiscountRounding, take_off
from huntaze.pipelines.billing.invoice import draft_invoice
from huntaze.pipelines.billing.money import allocate, round_half_away, to_major, to_minor
from huntaze.pipelines.billing.numbers import invoice_number
from huntaze.pipelines.billing.periods import Cycle, Period, Unit, calendar_month, cycle_on_day
from huntaze.pipelines.billing.plans import Usage
from huntaze.pipelines.billing.pricing import Mode, Package, Percentage, PerUnit, Terms, Tier, Tiered, cost
from huntaze.pipelines.billing.proration import Basis, Proration, fraction
from huntaze.pipelines.billing.tax import TaxRate
from tests.conftest import SHARED
from tests.pipelines.billing.builders import billed, flat_plan, plan_of, span, subscribed, utc

FILE = SHARED / "data" / "billing" / "billing_cases.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text()) if FILE.exists() else []
Given = dict[str, Any]


@pytest.mark.skipif(not CASES, reason=f"{FILE} is missing: this test needs the shared folder beside the project")
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_worked_example(case: dict[str, Any]) -> None:
    assert RUNNERS[case["area"]](case) == case["expected"]


def run_anchor(case: dict[str, Any]) -> Any:
    given: Given = case["input"]
    if "bill_cycle_day" in given:
        return cycle_on_day(utc(given["start"]), given["bill_cycle_day"]).anchor.date().isoformat()
    if "billing_at" in given:
        period = Cycle(utc(given["subscription_at"])).period_at(utc(given["billing_at"]) - timedelta(seconds=1))
        assert period.end == utc(given["billing_at"])
        return period.last_day("UTC").isoformat()
    cycle = Cycle(utc(given["anchor"]), unit=Unit(given.get("interval", "month")))
    if "t" in given:
        period = cycle.period_at(utc(given["t"]))
        return [period.start.date().isoformat(), period.end.date().isoformat()]
    return [cycle.boundary(n).date().isoformat() for n in range(given["n"])]


def run_timezone(case: dict[str, Any]) -> list[str]:
    year, month = (int(part) for part in case["input"]["month"].split("-"))
    period = calendar_month(year, month, case["input"]["tz"])
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (period.start, period.end)]


def run_proration(case: dict[str, Any]) -> Any:
    given: Given = case["input"]
    for key, run in PRORATIONS.items():
        if key in given:
            return run(case)
    raise AssertionError(f"no runner for {given}")


def _change(old: int, new: int, period: Period, at: datetime, *, reset: bool = False) -> tuple[int, int]:
    months = 12 if (period.end - period.start).days > 300 else 1
    cycle = Cycle(period.start, count=months)
    assert cycle.period_at(at) == period
    credits_ = credit_lines([billed(old, period)], at, cycle, Proration(), change="1")
    after = Cycle(at, unit=Unit.MONTH if months == 12 else Unit.YEAR) if reset else cycle
    rest = Period(at, after.period_at(at).end)
    debits = debit_lines(flat_plan(new), subscribed(after), rest, change="1")
    return -sum(line.amount_minor for line in credits_), sum(line.amount_minor for line in debits)


def run_change(case: dict[str, Any]) -> dict[str, int]:
    given: Given = case["input"]
    period, at = span(*given["period"]), utc(given["change_at"])
    credit, debit = _change(given["old_cents"], given["new_cents"], period, at, reset=given["cycle_reset"])
    return {"credit": credit, "debit": debit}


def run_elapsed(case: dict[str, Any]) -> dict[str, int]:
    given, period = case["input"], span("2025-06-01", "2025-07-01")
    old, new = (to_minor(given[key].removesuffix(" USD"), "USD") for key in ("old", "new"))
    at = period.start + (period.end - period.start) * float(Fraction(given["elapsed"]))
    credit, debit = _change(old, new, period, at)
    known = {"credit": -credit, "debit": debit, "net": debit - credit, "net_cents": debit - credit}
    return {key: known[key] for key in case["expected"]}


def run_leading_fraction(case: dict[str, Any]) -> str:
    given: Given = case["input"]
    part = span(given["start"], given["next_bill_date"])
    share = fraction([part], span(*given["full_period"]), "UTC", Proration(Basis.DAY, digits=9))
    return f"{Decimal(share.numerator) / Decimal(share.denominator):.9f}"


def run_leading_invoices(case: dict[str, Any]) -> dict[str, Any]:
    given: Given = case["input"]
    plan = flat_plan(to_minor(given["rate"], "USD"), rule=Proration(Basis.DAY, digits=9))
    subscription = subscribed(cycle_on_day(utc(given["start"]), given["bill_cycle_day"]), given["start"])
    due = subscription.cycle.due(subscription.started_at, utc(given["target"]))
    lines = [line for period in due for line in draft_invoice(plan, subscription, period).lines]
    return {"items": len(lines), "total": str(to_major(sum(line.amount_minor for line in lines), "USD"))}


def run_fixed_days(case: dict[str, Any]) -> dict[str, str]:
    """So many days of a month of 31."""
    given: Given = case["input"]
    rule = Proration(Basis.MONTH_OF_DAYS, fixed_days=given["fixed_days"])
    month, amounts = span("2023-05-01", "2023-06-01"), {}
    for days in case["expected"]:
        start = month.end - timedelta(days=int(days.removesuffix("d")))
        subscription = subscribed(Cycle(month.start), start)
        drafted = draft_invoice(flat_plan(to_minor(given["rate"], "USD"), rule=rule), subscription, month)
        amounts[days] = str(to_major(drafted.total_minor, "USD"))
    return amounts


def run_part_of_month(case: dict[str, Any]) -> Any:
    """The last days of a month that has as many as the case says, for a late start or after a trial."""
    given: Given = case["input"]
    whole = given.get("days_total", given.get("of"))
    days = whole - given["trial_days"] if "trial_days" in given else given["days"]
    month = next(m for m in (calendar_month(2024, n) for n in range(1, 13)) if (m.end - m.start).days == whole)
    amount = given.get("plan_cents", given.get("amount_cents"))
    begin = month.end - timedelta(days=days)
    subscription = subscribed(Cycle(month.start), None if "trial_days" in given else begin)
    subscription = replace(subscription, trial_end=begin if "trial_days" in given else None)
    drafted = draft_invoice(flat_plan(amount), subscription, month).total_minor
    if not isinstance(case["expected"], dict):
        return drafted
    exact = amount * fraction([Period(begin, month.end)], month, "UTC")
    return {"amount_cents": drafted, "precise": f"{float(exact):.5f}"}


PRORATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "old_cents": run_change,
    "elapsed": run_elapsed,
    "full_period": run_leading_fraction,
    "bill_cycle_day": run_leading_invoices,
    "fixed_days": run_fixed_days,
    "of": run_part_of_month,
    "days_total": run_part_of_month,
}


def run_usage(case: dict[str, Any]) -> Any:
    given: Given = case["input"]
    terms, quantity, events = _terms(case), Decimal(str(given["units"])), given.get("events", 0)
    if isinstance(case["expected"], int):
        period = span("2025-06-01", "2025-07-01")
        usage = [Usage("m", quantity, events)]
        return draft_invoice(
            plan_of(terms, meter="m"), subscribed(Cycle(period.start)), period, usage=usage
        ).total_minor
    exact = cost(terms, quantity, events)
    assert exact == Fraction(case["expected"])
    return case["expected"]


def _terms(case: dict[str, Any]) -> Terms:
    given: Given = case["input"]
    if "package_size" in given:
        return Package(Decimal(given["package_size"]), Decimal(given["amount"]), Decimal(given["free_units"]))
    if "rate_pct" in given:
        free = Decimal(given["free_units"])
        return Percentage(Decimal(given["rate_pct"]), free, Decimal(given["fixed"]), given["free_events"])
    if "unit_cents" in given:
        return PerUnit(Decimal(given["unit_cents"]))
    rows = given.get("tiers") or [[1000, "0.10", 0], [10000, "0.05", 0], [None, "0.01", 0]]
    tiers = tuple(
        Tier(None if up_to is None else Decimal(up_to), Decimal(str(unit)), Decimal(str(flat)))
        for up_to, unit, flat in rows
    )
    mode = Mode.VOLUME if case["rule"].startswith("volume") else Mode.GRADUATED
    return Tiered(mode, tiers, zero_enters_first="getlago" in case["source"])


def run_allocation(case: dict[str, Any]) -> list[int]:
    return allocate(case["input"]["total"], case["input"]["weights"])


def run_rounding(case: dict[str, Any]) -> Any:
    given: Given = case["input"]
    if "value" in given:
        return round_half_away(Decimal(given["value"]))
    coupon = Coupon("c", percent=Decimal(given["bp"]) / 100)
    by_line = take_off(coupon, given["lines"], DiscountRounding.LINE)
    return {"per_line": by_line, "on_total": sum(take_off(coupon, given["lines"]))}


def run_credit_note(case: dict[str, Any]) -> dict[str, int]:
    given: Given = case["input"]
    rate = TaxRate("VAT", Decimal(given["tax_pct"]))
    paid = given.get("plan_cents", given.get("paid_cents"))
    share = Fraction(*given["unused"]) if "unused" in given else Fraction(given["unused_days"], given["of"])
    note = credit_note(billed(paid, span("2025-05-01", "2025-06-01"), rate), share)
    return {"net": note.net_minor, "tax": note.tax_minor, "total": note.total_minor}


def run_dunning(case: dict[str, Any]) -> Any:
    given: Given = case["input"]
    failed = datetime(2025, 6, 1, 12, tzinfo=UTC)
    dunning = retries.Dunning(tuple(given["intervals_days"])) if given else retries.PATIENT
    days = [(moment - failed).days for moment in dunning.tries(failed)]
    return days if given else {"tries": len(days), "within_days": days[-1]}


def run_webhook_retry(case: dict[str, Any]) -> list[int]:
    return retries.offsets(case["input"]["delays_s"])


def run_job_retry(case: dict[str, Any]) -> list[int]:
    return [retries.gap_by_power(attempt) for attempt in case["input"]["attempts"]]


def run_idempotency(case: dict[str, Any]) -> dict[str, int]:
    """What is due is worked out from where billing stands: a run that has moved on finds nothing."""
    cycle, at, made = Cycle(utc("2025-06-01")), utc("2025-06-20"), set()
    for _ in range(case["input"]["subscriptions"]):
        upto = cycle.anchor
        for _ in range(case["input"]["runs"]):
            for period in cycle.due(upto, at):
                made.add(draft_invoice(flat_plan(100), subscribed(cycle), period).lines[0].source_key)
                upto = period.end
    return {"invoices": len(made)}


def run_numbering(case: dict[str, Any]) -> list[str]:
    customers, months = case["input"]["customers"], case["input"]["months"]
    return [invoice_number(f"{who:03}", nth, 3) for who in range(1, customers + 1) for nth in range(1, months + 1)]


RUNNERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "anchor": run_anchor,
    "timezone": run_timezone,
    "proration": run_proration,
    "usage": run_usage,
    "allocation": run_allocation,
    "rounding": run_rounding,
    "credit_note": run_credit_note,
    "dunning": run_dunning,
    "webhook_retry": run_webhook_retry,
    "job_retry": run_job_retry,
    "idempotency": run_idempotency,
    "numbering": run_numbering,
}
