"""What coupons take off, and from which line."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.money import allocate, round_half_away


class DiscountRounding(StrEnum):
    """Where a percentage is rounded: 33.33 % of 100 + 100 is 67 on the total and 66 by line."""

    TOTAL = "total"  # once, then shared by largest remainder: what the customer computes. The default
    LINE = "line"


@dataclass(frozen=True)
class Coupon:
    """Either `percent` (0 to 100) or `amount_minor` off; `prices`: codes of the prices it is for, empty for all."""

    code: str
    percent: Decimal | None = None
    amount_minor: int | None = None
    prices: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.amount_minor is None):
            raise BillingError(
                "billing.bad_coupon", f"Coupon {self.code!r} takes off either a percentage or an amount."
            )
        if not 0 <= (self.percent or 0) <= 100 or (self.amount_minor or 0) < 0:
            raise BillingError("billing.bad_coupon", f"Coupon {self.code!r} takes off 0 to 100 percent, or 0 and more.")


def take_off(coupon: Coupon, bases: Sequence[int], rounding: DiscountRounding = DiscountRounding.TOTAL) -> list[int]:
    """What the coupon takes off each base (minor units, not negative): never more than the base."""
    whole = sum(bases)
    if not whole:
        return [0] * len(bases)
    if coupon.amount_minor is not None:
        return allocate(min(coupon.amount_minor, whole), bases)
    share = Fraction(coupon.percent or 0) / 100
    if rounding is DiscountRounding.LINE:
        return [round_half_away(base * share) for base in bases]
    return allocate(round_half_away(whole * share), bases)
