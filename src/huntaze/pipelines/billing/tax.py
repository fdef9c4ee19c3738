"""Taxes on a line: on top of the price (exclusive) or in it (inclusive), rounded once a line and rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from huntaze.pipelines.billing.money import Exact, allocate, round_half_away


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
    price = Fraction(base)
    inside = [rate for rate in rates if rate.inclusive and rate.percent]
    percent = Fraction(sum((rate.percent for rate in inside), Decimal(0)))
    taken = price * percent / (100 + percent)
    shares = iter(allocate(round_half_away(taken), [rate.percent for rate in inside]) if inside else [])
    on_top = (price - taken) / 100
    return tuple(
        Tax(
            rate,
            (next(shares) if rate.percent else 0)
            if rate.inclusive
            else round_half_away(on_top * Fraction(rate.percent)),
        )
        for rate in rates
    )
