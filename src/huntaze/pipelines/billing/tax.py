"""Taxes on a line: on top of the price (exclusive) or in it (inclusive), rounded once a line and rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from huntaze.pipelines.billing.money import Exact, allocate, round_half_away, round_ratio


@dataclass(frozen=True)
class TaxRate:
    """percent: 20 for 20 %. inclusive: the price holds it already."""

    name: str
    percent: Decimal
    inclusive: bool = False


@dataclass(frozen=True)
class Tax:
    """What one rate came to; negative on a credit."""

    rate: TaxRate
    amount_minor: int


def taxes_on(base: Exact, rates: Sequence[TaxRate]) -> tuple[Tax, ...]:
    """The taxes of a line whose price after discounts is `base`, exact minor units.

    What inclusive rates take out is rounded as one and shared by their percentages, so price = net + tax; exclusive
    ones are put on the exact rest.
    """
    if not rates:
        return ()
    inside = [rate.percent for rate in rates if rate.inclusive and rate.percent]
    shares: Iterator[int] = iter(())
    rest = base
    if inside:
        percent = Fraction(sum(inside, Decimal(0)))
        taken = Fraction(base) * percent / (100 + percent)
        shares = iter(allocate(round_half_away(taken), inside))
        rest = Fraction(base) - taken
    return tuple(
        Tax(rate, _percent_of(rest, rate.percent) if not rate.inclusive else next(shares) if rate.percent else 0)
        for rate in rates
    )


def _percent_of(amount: Exact, percent: Decimal) -> int:
    (above, below), (of, per) = amount.as_integer_ratio(), percent.as_integer_ratio()
    return round_ratio(above * of, below * per * 100)
