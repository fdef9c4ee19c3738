"""What a part of a period is worth of the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction

from huntaze.pipelines.billing.money import round_half_away
from huntaze.pipelines.billing.periods import Period, zone_of


class Basis(StrEnum):
    """How time is counted."""

    SECOND = "second"  # elapsed time: pieces of any cut sum to the whole. The default
    DAY = "day"  # calendar days of the customer's zone; the day of a change belongs to what comes
    MONTH_OF_DAYS = "month_of_days"  # calendar days of a month that always has `fixed_days`
    WHOLE = "whole"  # a period that was begun is owed whole, and nothing is given back


@dataclass(frozen=True)
class Proration:
    """A plan's rule.

    fixed_days: of MONTH_OF_DAYS. digits: decimals to which the fraction itself is rounded, half up; None: exact.
    """

    basis: Basis = Basis.SECOND
    fixed_days: int = 30
    digits: int | None = None


BY_SECOND = Proration()


def fraction(parts: Sequence[Period], whole: Period, zone: str, rule: Proration = BY_SECOND) -> Fraction:
    """The share of `whole` that its parts are, 0 to 1. The parts lie in it and do not overlap."""
    used = [part for part in parts if part]
    if not used:
        return Fraction(0)
    if rule.basis is Basis.WHOLE or used == [whole]:
        return Fraction(1)
    if rule.basis is Basis.SECOND:
        exact = Fraction(sum((_micros(part) for part in used), 0), _micros(whole))
    else:
        days = sum(_days(part, zone) for part in used)
        of = rule.fixed_days if rule.basis is Basis.MONTH_OF_DAYS else _days(whole, zone)
        exact = min(Fraction(days, max(of, 1)), Fraction(1))
    if rule.digits is None:
        return exact
    return Fraction(round_half_away(exact * 10**rule.digits), 10**rule.digits)


def unused(billed: Period, left: Period, whole: Period, zone: str, rule: Proration = BY_SECOND) -> Fraction:
    """The share of what was billed for `billed` that its rest, `left`, is worth: what is given back, 0 to 1."""
    if rule.basis is Basis.WHOLE or not left:
        return Fraction(0)
    paid = fraction([billed], whole, zone, rule)
    return min(fraction([left], whole, zone, rule) / paid, Fraction(1)) if paid else Fraction(0)


def _micros(period: Period) -> int:
    return (period.end - period.start) // timedelta(microseconds=1)


def _days(period: Period, zone: str) -> int:
    local = zone_of(zone)
    return (period.end.astimezone(local).date() - period.start.astimezone(local).date()).days
