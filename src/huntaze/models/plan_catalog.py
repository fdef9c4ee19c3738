"""A file of what is sold, put in place: what is as it was stays, what differs becomes another version."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import plan_store
from huntaze.models.base import new_id
from huntaze.models.billing_plans import Coupon, Plan, PlanPrice, TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.plan_store import NewPrice
from huntaze.pipelines.billing.catalog import BadCatalog, Catalog, CouponTable, PlanTable, TaxTable
from huntaze.pipelines.billing.terms import terms_to_json

# One file at a time: two that name the same plan would each make the same version of it.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('huntaze.billing.catalog', 0))")


@dataclass(frozen=True)
class Loaded:
    """What became of one entry: `made`, `changed`, `unchanged`, `retired`. `version`: of plans."""

    kind: str
    code: str
    outcome: str
    version: int | None = None


def load(session: Session, catalog: Catalog) -> list[Loaded]:
    """All of the file or nothing. Repeating changes nothing. Raises BadCatalog for other terms of a coupon in use."""
    session.execute(_ALONE)
    wrong = [told for at, one in enumerate(catalog.coupons) if (told := _fixed(session, at, one))]
    if wrong:
        raise BadCatalog(wrong)
    return [
        *(_rate(session, one) for one in catalog.tax_rates),
        *(_coupon(session, one) for one in catalog.coupons),
        *(_plan(session, catalog, one) for one in catalog.plans),
    ]


def _plan(session: Session, catalog: Catalog, wanted: PlanTable) -> Loaded:
    rows = session.scalars(select(Plan).where(Plan.code == wanted.code).order_by(Plan.version.desc())).all()
    sold = [row for row in rows if row.retired_at is None]
    if not wanted.on_sale:
        outcome = "retired" if sold else "unchanged"
        retired = update(Plan).where(Plan.code == wanted.code, Plan.retired_at.is_(None))
        session.execute(retired.values(retired_at=func.clock_timestamp()))
        return Loaded("plan", wanted.code, outcome, rows[0].version if rows else None)
    values, prices = _columns(catalog, wanted), [_price(wanted, at) for at in range(len(wanted.prices))]
    if sold and _same(session, sold[0], values, prices):
        return Loaded("plan", wanted.code, "unchanged", sold[0].version)
    version = rows[0].version + 1 if rows else 1
    plan_store.create_plan(session, Plan(id=new_id(), code=wanted.code, version=version, **values), prices)
    return Loaded("plan", wanted.code, "changed" if rows else "made", version)


def _columns(catalog: Catalog, wanted: PlanTable) -> dict[str, Any]:
    written = wanted.model_dump(mode="json", include={"name", "currency", "interval", "interval_count", "trial_days"})
    return {
        **written,
        "discount_rounding": wanted.discount_rounding.value,
        "proration": wanted.proration.model_dump(mode="json"),
        "dunning": catalog.dunning_of(wanted).model_dump(mode="json"),
    }


def _price(wanted: PlanTable, at: int) -> NewPrice:
    one = wanted.prices[at]
    return NewPrice(one.code, one.description, one.terms, one.meter, one.in_arrears, one.taxable)


def _same(session: Session, row: Plan, values: dict[str, Any], prices: Sequence[NewPrice]) -> bool:
    query = select(PlanPrice).where(PlanPrice.plan_id == row.id).order_by(PlanPrice.position, PlanPrice.code)
    wanted = [{**one.__dict__, "terms": terms_to_json(one.terms)} for one in prices]
    names = ("code", "description", "terms", "meter", "in_arrears", "taxable")
    there = [{name: getattr(one, name) for name in names} for one in session.scalars(query)]
    return there == wanted and all(getattr(row, name) == value for name, value in values.items())


def _rate(session: Session, wanted: TaxTable) -> Loaded:
    """Invoices and subscriptions point at the rate as it stood: another percentage is another row."""
    row = newest_rate(session, wanted.name)
    if row is not None and (row.percent, row.inclusive) == (wanted.percent, wanted.inclusive):
        return Loaded("tax rate", wanted.name, "unchanged")
    session.add(TaxRate(id=new_id(), **wanted.model_dump()))
    session.flush()
    return Loaded("tax rate", wanted.name, "made" if row is None else "changed")


def newest_rate(session: Session, name: str) -> TaxRate | None:
    """The tax rate of this name as it is for new subscriptions."""
    return session.scalars(select(TaxRate).where(TaxRate.name == name).order_by(TaxRate.id.desc()).limit(1)).first()


def find_coupon(session: Session, code: str) -> Coupon | None:
    """The coupon with this code."""
    return session.scalars(select(Coupon).where(Coupon.code == code)).one_or_none()


def _coupon(session: Session, wanted: CouponTable) -> Loaded:
    row, values = find_coupon(session, wanted.code), _off(wanted)
    if row is None:
        session.add(Coupon(id=new_id(), code=wanted.code, **values))
        session.flush()
        return Loaded("coupon", wanted.code, "made")
    if _off(row) == values:
        return Loaded("coupon", wanted.code, "unchanged")
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    return Loaded("coupon", wanted.code, "changed")


def _off(one: CouponTable | Coupon) -> dict[str, Any]:
    percent: Decimal | None = one.percent
    values = {"percent": percent, "amount_minor": one.amount_minor, "currency": one.currency, "periods": one.periods}
    return {**values, "prices": sorted(one.prices)}


def _fixed(session: Session, at: int, wanted: CouponTable) -> str | None:
    """What was promised stays: other terms need another code once somebody has the coupon."""
    row = find_coupon(session, wanted.code)
    if row is None or _off(row) == _off(wanted):
        return None
    if not session.execute(select(exists().where(Subscription.coupon_id == row.id))).scalar_one():
        return None
    return f"coupons[{at}].code: {wanted.code} was given to subscriptions with other terms; use another code"
