"""What is billed to whom: plans with their prices and rules, subscriptions, usage."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from huntaze.pipelines.billing.coupons import DiscountRounding
from huntaze.pipelines.billing.periods import Cycle, Period
from huntaze.pipelines.billing.pricing import Terms
from huntaze.pipelines.billing.proration import BY_SECOND, Proration


@dataclass(frozen=True)
class Price:
    """One thing that a plan bills, once a period.

    meter: whose usage is the quantity, billed when the period has ended; None: the subscription's own quantity, billed
    in advance unless `in_arrears`.
    """

    code: str
    description: str
    terms: Terms
    meter: str | None = None
    in_arrears: bool = False
    taxable: bool = True


@dataclass(frozen=True)
class Plan:
    """Prices in one currency and the rules by which they are billed."""

    code: str
    name: str
    currency: str
    prices: tuple[Price, ...]
    proration: Proration = BY_SECOND
    discount_rounding: DiscountRounding = DiscountRounding.TOTAL


@dataclass(frozen=True)
class Subscription:
    """What billing knows of a subscription.

    key: names it in source keys. Fees are owed for [started_at, ends_at) without the trial and the pauses; a pause
    whose end is not known ends at `periods.FOREVER`.
    """

    key: str
    cycle: Cycle
    started_at: datetime
    quantity: int = 1
    trial_end: datetime | None = None
    ends_at: datetime | None = None
    pauses: tuple[Period, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What a meter counted and nobody has billed yet; `events` are single transactions, for percentages."""

    meter: str
    quantity: Decimal
    events: int = 0
