"""Plans and subscriptions in few words."""

from datetime import UTC, date, datetime
from decimal import Decimal

from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.periods import Cycle, Period
from huntaze.pipelines.billing.plans import Plan, Price, Subscription
from huntaze.pipelines.billing.pricing import Flat, Terms
from huntaze.pipelines.billing.proration import BY_SECOND, Proration
from huntaze.pipelines.billing.tax import TaxRate, taxes_on


def utc(day: str | date) -> datetime:
    return datetime.fromisoformat(str(day)).replace(tzinfo=UTC)


def span(start: str, end: str) -> Period:
    return Period(utc(start), utc(end))


def flat_plan(amount: Decimal | int, currency: str = "USD", rule: Proration = BY_SECOND) -> Plan:
    return plan_of(Flat(Decimal(amount)), currency=currency, rule=rule)


def plan_of(terms: Terms, *, meter: str | None = None, currency: str = "USD", rule: Proration = BY_SECOND) -> Plan:
    return Plan("plan", "Plan", currency, (Price("base", "Base fee", terms, meter),), rule)


def subscribed(cycle: Cycle, started: str | datetime | None = None, quantity: int = 1) -> Subscription:
    start = cycle.anchor if started is None else utc(started) if isinstance(started, str) else started
    return Subscription("sub", cycle, start, quantity)


def billed(amount: int, period: Period, *rates: TaxRate) -> Line:
    """A line as an invoice would hold it."""
    taxes = taxes_on(amount, rates)
    return Line("sub:fee", "Base fee", "base", Decimal(1), amount, period, rates=rates, taxes=taxes)
