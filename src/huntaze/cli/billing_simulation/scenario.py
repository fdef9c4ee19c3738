"""What happens in a simulated life, by a seed: plans of several kinds, creators of several zones, and their whims."""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from huntaze.models import plan_store
from huntaze.models.base import new_id
from huntaze.models.billing_plans import Coupon, Plan, TaxRate
from huntaze.models.plan_store import NewPrice
from huntaze.pipelines.billing.periods import Unit
from huntaze.pipelines.billing.pricing import Flat, Mode, PerUnit, Terms, Tier, Tiered

METER = "videos"
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "America/Sao_Paulo")
# Most have no card: their invoices stay open. Of the others some decline, are silent, or ask for the customer.
METHODS = ("ok", "ok", "2*decline;ok", "decline", "decline_hard", "unknown;ok", "action")
PAYING = 0.1

# A day's chance of each whim, for each subscription.
CHANGE, PAUSE, RESUME, CANCEL, USAGE = 0.0008, 0.0002, 0.04, 0.0003, 0.08
LATE = 0.1  # of usage, by up to a month and a half
GIFT, TAKEN_BACK, GIVEN_UP = 0.2, 0.15, 0.05  # of a day: credit, credit notes, write-offs
DISPUTED = 0.1  # of a day: that a payment of late is, told in any order
# And of each day, for the run itself.
CRASH, TWICE, SILENCE = 0.1, 0.05, 0.01


@dataclass(frozen=True)
class Sold:
    """A plan as the simulation knows it."""

    id: uuid.UUID
    currency: str
    unit: Unit
    count: int
    trial_days: int


@dataclass(frozen=True)
class Market:
    """All that can be subscribed to, and on what terms."""

    plans: tuple[Sold, ...]
    coupons: tuple[uuid.UUID, ...]
    taxes: tuple[uuid.UUID, ...]

    def beside(self, plan: Sold) -> list[Sold]:
        """What a subscription to `plan` can be changed to."""
        return [one for one in self.plans if one.currency == plan.currency]


_TIERS = Tiered(
    Mode.GRADUATED,
    (Tier(Decimal(10), Decimal(0)), Tier(Decimal(100), Decimal(25)), Tier(None, Decimal("12.5"), Decimal(99))),
)
_VOLUME = Tiered(
    Mode.VOLUME, (Tier(Decimal(50), Decimal("0.4"), Decimal(10)), Tier(None, Decimal("0.3"))), zero_enters_first=True
)
# code, currency, unit, count, fee, usage, proration, discount, trial
_PLANS: tuple[tuple[str, str, Unit, int, Terms, Terms, str, str, int], ...] = (
    ("basic", "EUR", Unit.MONTH, 1, Flat(Decimal(900)), PerUnit(Decimal(25)), "second", "total", 0),
    ("pro", "EUR", Unit.MONTH, 1, PerUnit(Decimal(2900)), _TIERS, "day", "line", 14),
    ("annual", "EUR", Unit.YEAR, 1, Flat(Decimal(29_000)), PerUnit(Decimal("2.5")), "second", "total", 0),
    ("weekly", "USD", Unit.WEEK, 1, Flat(Decimal(333)), PerUnit(Decimal("0.1")), "second", "line", 0),
    ("seats", "USD", Unit.MONTH, 1, PerUnit(Decimal(777)), _TIERS, "month_of_days", "total", 7),
    ("tsuki", "JPY", Unit.MONTH, 1, Flat(Decimal(1480)), _VOLUME, "second", "total", 0),
    ("shahr", "KWD", Unit.MONTH, 3, Flat(Decimal(12_345)), PerUnit(Decimal("1.5")), "whole", "total", 0),
)


def open_market(session: Session) -> Market:
    """Writes plans, coupons and taxes."""
    plans = []
    for code, currency, unit, count, fee, usage, proration, discount, trial in _PLANS:
        plan = Plan(
            id=new_id(),
            code=code,
            name=code.title(),
            currency=currency,
            interval=unit,
            interval_count=count,
            trial_days=trial,
            proration={"basis": proration},
            discount_rounding=discount,
            dunning={"end": "pause"} if code == "basic" else {},
        )
        prices = [NewPrice("fee", code.title(), fee), NewPrice("usage", "Videos", usage, meter=METER)]
        plan_store.create_plan(session, plan, prices)
        plans.append(Sold(plan.id, currency, unit, count, trial))
    coupons = [
        Coupon(id=new_id(), code="THIRD", percent=Decimal("33.33")),
        Coupon(id=new_id(), code="ALL", percent=Decimal(100)),
    ]
    taxes = [
        TaxRate(id=new_id(), name="VAT", percent=Decimal(20)),
        TaxRate(id=new_id(), name="GST", percent=Decimal("8.875"), inclusive=True),
    ]
    session.add_all([*coupons, *taxes])
    session.flush()
    return Market(tuple(plans), tuple(one.id for one in coupons), tuple(one.id for one in taxes))


@dataclass(frozen=True)
class Newcomer:
    """One creator: what is subscribed to, and when."""

    at: datetime
    plan: Sold
    wanted: dict[str, object]


def newcomers(dice: random.Random, market: Market, creators: int, start: datetime, days: int) -> list[Newcomer]:
    """Most come in the first months, on the last days of months more than else; by time."""
    found = []
    for _ in range(creators):
        day = int(min(dice.expovariate(1 / (days / 12)), days * 0.8))
        at = start + timedelta(days=day, seconds=dice.randrange(86_400), microseconds=dice.randrange(10**6))
        if dice.random() < 0.3:  # the anchors that have to be clamped
            at = (at.replace(day=1) - timedelta(days=dice.randrange(1, 4))) if at.month != start.month else at
        found.append(Newcomer(max(at, start), dice.choice(market.plans), _terms(dice, market)))
    return sorted(found, key=lambda one: one.at)


def _terms(dice: random.Random, market: Market) -> dict[str, object]:
    with_coupon = dice.random() < 0.2
    return {
        "quantity": dice.randrange(1, 6),
        "time_zone": dice.choice(ZONES),
        "coupon_id": dice.choice(market.coupons) if with_coupon else None,
        "coupon_periods": dice.choice((1, 3, None)) if with_coupon else None,
        "tax_rate_id": dice.choice((*market.taxes, None)),
        "method": dice.choice(METHODS) if dice.random() < PAYING else None,
    }
