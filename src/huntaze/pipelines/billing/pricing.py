"""What a quantity costs. Amounts of terms are minor units and may have decimals (0.25 of a cent); results are exact
Fractions of minor units, rounded by whoever makes the line."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from huntaze.pipelines.billing.errors import BillingError


@dataclass(frozen=True)
class Flat:
    """A fee that knows no quantity."""

    amount: Decimal


@dataclass(frozen=True)
class PerUnit:
    """Each unit beyond the free ones."""

    unit_amount: Decimal
    free_units: Decimal = Decimal(0)


@dataclass(frozen=True)
class Tier:
    """(end of the tier before, up_to]; None: no end. `flat` is owed once by whoever enters the tier."""

    up_to: Decimal | None
    unit_amount: Decimal
    flat: Decimal = Decimal(0)


class Mode(StrEnum):
    """How tiers are read."""

    GRADUATED = "graduated"  # each unit costs what its own tier says; the flats of all tiers entered
    VOLUME = "volume"  # all units cost what the tier says that the quantity ends in; its flat alone


@dataclass(frozen=True)
class Tiered:
    """Tiers in ascending order, the last without an end.

    percent: the quantity is money in minor units, and `unit_amount` a percentage of it.
    zero_enters_first: zero usage owes the first tier's flat, or nothing (the default).
    """

    mode: Mode
    tiers: tuple[Tier, ...]
    percent: bool = False
    zero_enters_first: bool = False

    def __post_init__(self) -> None:
        ends = [tier.up_to for tier in self.tiers]
        inner = [Decimal(0), *(end for end in ends if end is not None)]
        if not ends or ends[-1] is not None or len(inner) != len(ends) or inner != sorted(set(inner)):
            raise BillingError(
                "billing.bad_tiers",
                "Tiers go upwards from above 0, each further than the one before; the last has no end.",
            )


@dataclass(frozen=True)
class Package:
    """Bundles of `size`; a bundle that was begun is owed whole."""

    size: Decimal
    amount: Decimal
    free_units: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise BillingError("billing.bad_package", "A package holds more than 0 units.")


@dataclass(frozen=True)
class Percentage:
    """A share of money that went through: `percent` of the quantity (minor units) beyond the free, and a fixed fee for
    each event beyond the free."""

    percent: Decimal
    free_units: Decimal = Decimal(0)
    fixed: Decimal = Decimal(0)
    free_events: int = 0


_NOTHING = Fraction(0)

Terms = Flat | PerUnit | Tiered | Package | Percentage


def cost(terms: Terms, quantity: Decimal | int, events: int = 0) -> Fraction:
    """Minor units, exact. A negative quantity costs as much as none; `events` count for Percentage alone."""
    if isinstance(terms, Flat):
        return Fraction(terms.amount)
    units = max(Fraction(quantity), _NOTHING)
    match terms:
        case PerUnit():
            beyond = max(units - Fraction(terms.free_units), _NOTHING) if terms.free_units else units
            return beyond * Fraction(terms.unit_amount)
        case Tiered():
            return _tiered(terms, units)
        case Package():
            beyond = max(units - Fraction(terms.free_units), _NOTHING) / Fraction(terms.size)
            return -(-beyond.numerator // beyond.denominator) * Fraction(terms.amount)
        case Percentage():
            beyond = max(units - Fraction(terms.free_units), _NOTHING)
            return beyond * Fraction(terms.percent) / 100 + max(events - terms.free_events, 0) * Fraction(terms.fixed)


def _tiered(terms: Tiered, units: Fraction) -> Fraction:
    if not units:
        return Fraction(terms.tiers[0].flat) if terms.zero_enters_first else Fraction(0)
    scale = 100 if terms.percent else 1
    total = below = Fraction(0)
    for tier in terms.tiers:
        reached = units if tier.up_to is None else min(units, Fraction(tier.up_to))
        if terms.mode is Mode.GRADUATED:
            total += (reached - below) * Fraction(tier.unit_amount) / scale + Fraction(tier.flat)
        elif reached == units:
            return units * Fraction(tier.unit_amount) / scale + Fraction(tier.flat)
        if reached == units:
            return total
        below = reached
    raise AssertionError("the last tier has no end")
