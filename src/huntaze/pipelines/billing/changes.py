"""What a change in the middle of a period costs: the rest of the old given back, the rest of the new billed.

An upgrade, a downgrade, another quantity, a pause (nothing comes), a resume (nothing goes) and a cancel at once are all
this one step. What is given back is a share of what was billed, after its discount and with its own taxes: never more
than was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from huntaze.pipelines.billing.invoice import Line, fee_line
from huntaze.pipelines.billing.money import round_half_away
from huntaze.pipelines.billing.periods import Cycle, Period
from huntaze.pipelines.billing.plans import Plan, Subscription
from huntaze.pipelines.billing.proration import Proration, unused
from huntaze.pipelines.billing.tax import Tax, taxes_on


@dataclass(frozen=True)
class CreditNote:
    """What is taken back of one line, in positive minor units."""

    net_minor: int
    tax_minor: int
    total_minor: int
    taxes: tuple[Tax, ...]


def credit_note(line: Line, share: Fraction) -> CreditNote:
    """A share of a billed line, 0 to 1. Taxes come from the exact share, so that a share of 1 is the line itself."""
    exact = line.price_minor * share
    taxes = taxes_on(exact, line.rates or ())
    total = round_half_away(exact) + sum(tax.amount_minor for tax in taxes if not tax.rate.inclusive)
    tax = sum(one.amount_minor for one in taxes)
    return CreditNote(total - tax, tax, total, taxes)


def credit_lines(
    billed: Sequence[Line], at: datetime, cycle: Cycle, rule: Proration, *, change: str, lost_minor: int = 0
) -> tuple[Line, ...]:
    """What is given back of fees that were billed in advance, for the time from `at` on. `change` names the change.
    `lost_minor`: what was taken back of these lines before, or never paid; of that nothing is given back."""
    asked = sum(max(line.total_minor, 0) for line in billed)
    kept = max(1 - Fraction(lost_minor, asked), Fraction(0)) if lost_minor and asked else Fraction(1)
    return tuple(one for line in billed for one in _credit(line, at, cycle, rule, change, kept))


def _credit(line: Line, at: datetime, cycle: Cycle, rule: Proration, change: str, kept: Fraction) -> list[Line]:
    left = Period(max(at, line.period.start), max(at, line.period.end))
    share = unused(line.period, left, cycle.period_at(line.period.start), cycle.zone, rule)
    amount = round_half_away(line.price_minor * share * kept)
    if not amount or amount < 0:
        return []
    given_back = Line(
        source_key=f"{line.source_key}:credit:{change}",
        description=f"Unused time: {line.description}",
        price_code=line.price_code,
        quantity=line.quantity,
        amount_minor=-amount,
        period=left,
        prorated=True,
        discountable=False,
        rates=line.rates or (),
    )
    return [given_back]


def debit_lines(plan: Plan, subscription: Subscription, period: Period, *, change: str) -> tuple[Line, ...]:
    """The plan's fees for the rest of a period: [time of the change, period's end), by the subscription's own cycle."""
    fees = [price for price in plan.prices if price.meter is None and not price.in_arrears]
    return tuple(line for price in fees for line in fee_line(plan, price, subscription, period, f"change:{change}"))
