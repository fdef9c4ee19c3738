"""Between rows and the domain's values: plans, subscriptions, coupons, taxes, lines."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models.billing_invoices import InvoiceLine
from huntaze.models.billing_plans import Coupon, Plan, PlanPrice, TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.pipelines.billing import coupons, plans, tax
from huntaze.pipelines.billing.coupons import DiscountRounding
from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.periods import Cycle, Period, Unit
from huntaze.pipelines.billing.proration import Proration
from huntaze.pipelines.billing.retries import Dunning
from huntaze.pipelines.billing.terms import terms_from_json

_LINE: TypeAdapter[Line] = TypeAdapter(Line)
_TAXES: TypeAdapter[tuple[tax.Tax, ...]] = TypeAdapter(tuple[tax.Tax, ...])
_PRORATION: TypeAdapter[Proration] = TypeAdapter(Proration)
_DUNNING: TypeAdapter[Dunning] = TypeAdapter(Dunning)


@dataclass(frozen=True)
class Offer:
    """A plan with what its row says beside the prices."""

    plan: plans.Plan
    unit: Unit
    count: int
    dunning: Dunning


def load_offers(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Offer]:
    """{plan id: the plan as the domain sees it}. Raises BillingError for terms that cannot be read."""
    offers, broken = readable_offers(session, ids)
    if broken:
        raise next(iter(broken.values()))
    return offers


def readable_offers(
    session: Session, ids: Collection[uuid.UUID]
) -> tuple[dict[uuid.UUID, Offer], dict[uuid.UUID, BillingError]]:
    """The plans that can be read, and what is wrong with the others."""
    rows = session.scalars(select(Plan).where(Plan.id.in_(ids))).all()
    prices: dict[uuid.UUID, list[PlanPrice]] = {row.id: [] for row in rows}
    query = select(PlanPrice).where(PlanPrice.plan_id.in_(ids)).order_by(PlanPrice.position, PlanPrice.code)
    for price in session.scalars(query):
        prices[price.plan_id].append(price)
    offers, broken = {}, {}
    for row in rows:
        try:
            offers[row.id] = _offer(row, [_price(price) for price in prices[row.id]])
        except BillingError as error:
            broken[row.id] = error
        except ValueError as error:
            broken[row.id] = BillingError("billing.bad_terms", f"Plan {row.code}: {error}")
    return offers, broken


def _price(row: PlanPrice) -> plans.Price:
    return plans.Price(
        row.code,
        row.description,
        terms_from_json(row.terms),
        meter=row.meter,
        in_arrears=row.in_arrears,
        taxable=row.taxable,
    )


def _offer(row: Plan, prices: Sequence[plans.Price]) -> Offer:
    plan = plans.Plan(
        row.code,
        row.name,
        row.currency,
        tuple(prices),
        proration=_PRORATION.validate_python(row.proration),
        discount_rounding=DiscountRounding(row.discount_rounding),
    )
    return Offer(plan, Unit(row.interval), row.interval_count, dunning_from_json(row.dunning))


def dunning_from_json(written: dict[str, Any]) -> Dunning:
    """A plan's schedule. Raises pydantic.ValidationError."""
    return _DUNNING.validate_python(written)


def load_coupons(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, coupons.Coupon]:
    """{coupon id: coupon}."""
    if not ids:
        return {}
    return {
        row.id: coupons.Coupon(row.code, row.percent, row.amount_minor, frozenset(row.prices))
        for row in session.scalars(select(Coupon).where(Coupon.id.in_(ids)))
    }


def load_taxes(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tax.TaxRate]:
    """{tax rate id: rate}."""
    if not ids:
        return {}
    return {
        row.id: tax.TaxRate(row.name, row.percent, row.inclusive)
        for row in session.scalars(select(TaxRate).where(TaxRate.id.in_(ids)))
    }


def cycle_of(row: Subscription, offer: Offer) -> Cycle:
    """The cycle by which the next period is found."""
    return Cycle(row.anchor, row.time_zone, offer.unit, offer.count)


def billed_cycle_of(row: Subscription, offer: Offer) -> Cycle:
    """The cycle of the period that runs; `offer` is the one it was billed by."""
    return Cycle(row.billed_anchor or row.anchor, row.time_zone, offer.unit, offer.count)


def subscription_of(row: Subscription, offer: Offer) -> plans.Subscription:
    """As the domain bills the next period. Pauses need no telling: no period begins in one."""
    return plans.Subscription(
        key=str(row.id),
        cycle=cycle_of(row, offer),
        started_at=row.started_at,
        quantity=row.quantity,
        trial_end=row.trial_end,
        ends_at=row.cancel_at,
    )


def line_to_json(line: Line) -> dict[str, Any]:
    """A line that is carried to the next invoice; `line_from_json` gives it back."""
    written: dict[str, Any] = _LINE.dump_python(line, mode="json")
    return written


def line_from_json(written: dict[str, Any]) -> Line:
    """Raises pydantic.ValidationError."""
    return _LINE.validate_python(written)


def detail_of(line: Line) -> dict[str, Any]:
    """What a stored line needs beside its columns, to be shown and to be given back."""
    return {
        "price_code": line.price_code,
        "meter": line.meter,
        "unit_amount": None if line.unit_amount is None else str(line.unit_amount),
        "prorated": line.prorated,
        "discountable": line.discountable,
        "taxable": line.taxable,
        "taxes": [
            {
                "rate": {"name": one.rate.name, "percent": str(one.rate.percent), "inclusive": one.rate.inclusive},
                "amount_minor": one.amount_minor,
            }
            for one in line.taxes
        ],
    }


def line_of(row: InvoiceLine) -> Line:
    """The line as it was billed."""
    detail = row.detail
    taxes = _TAXES.validate_python(detail["taxes"])
    return Line(
        source_key=row.source_key,
        description=row.description,
        price_code=detail["price_code"],
        quantity=row.quantity,
        amount_minor=row.amount_minor,
        period=Period(row.period_start, row.period_end),
        unit_amount=None,
        prorated=detail["prorated"],
        discountable=detail["discountable"],
        taxable=detail["taxable"],
        discount_minor=row.discount_minor,
        rates=tuple(one.rate for one in taxes),
        taxes=taxes,
        meter=detail["meter"],
    )
