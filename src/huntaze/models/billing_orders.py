"""A subscription as it is asked for, by codes: what creators may ask for themselves, and what operators may beside."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from huntaze.models import billing_domain, billing_store, plan_catalog, plan_store
from huntaze.models.billing_invoices import Invoice, Receivable, ReceivableState
from huntaze.models.billing_plans import Coupon, Plan, TaxRate
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_subscriptions import Subscription, SubscriptionStatus
from huntaze.models.users import User
from huntaze.pipelines.billing.anchors import anchor_on_day
from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.periods import Unit, zone_of
from huntaze.pipelines.errors import Permanent


@dataclass(frozen=True)
class Terms:
    """What only an operator says. `anchor_day`: of the month; None leaves each to its rule."""

    anchor_day: int | None = None
    trial_days: int | None = None
    tax_rate: str | None = None


@dataclass(frozen=True)
class Card:
    """Who pays with what, by the gateway's own names. Without a method, invoices stay open until they are paid."""

    customer: str
    method: str | None


@dataclass(frozen=True)
class Order:
    """A plan by its code. `time_zone`: None for the creator's own. `card`: None for that of the last subscription.
    `terms`: None where the creator asks. `first_tax_rate`: of who never had one; None: no tax."""

    plan: str
    quantity: int = 1
    time_zone: str | None = None
    coupon: str | None = None
    card: Card | None = None
    terms: Terms | None = None
    first_tax_rate: str | None = None


class BadOrder(Permanent):
    """A field of an order names what there is not, or what does not fit; `field` names it."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(code, message)
        self.field = field

    def __reduce__(self) -> tuple[type["BadOrder"], tuple[str, str, str]]:  # type: ignore[override]
        return (BadOrder, (self.code, self.field, self.message))


def place(session: Session, creator_id: uuid.UUID, order: Order, at: datetime) -> tuple[Subscription, bool]:
    """A subscription from `at` on, and whether it was made: one that is there already, with the same terms, is the
    answer to a repeat. One plan is subscribed to once at a time; more of it is a quantity.

    The creator's row is locked: of two requests at once the second finds what the first made. A trial and a coupon are
    had once. The tax rate is that of the creator's last subscription, or the fleet's, never named by the creator.
    Raises BadOrder, Permanent: `subscription.exists`, `.owes`, `.no_tax_rate`.
    """
    creator = session.get_one(User, creator_id, with_for_update={"key_share": True})
    query = select(Subscription, Plan).join(Plan, Plan.id == Subscription.plan_id)
    found = session.execute(query.where(Subscription.creator_id == creator_id).order_by(Subscription.id.desc()))
    before = [(row[0], row[1]) for row in found]
    plan, zone = _plan(session, order), _zone(order.time_zone or creator.time_zone)
    coupon = _coupon(session, order, plan)
    for row, of in before:
        if of.code == plan.code and row.status != SubscriptionStatus.CANCELLED:
            return _same(row, order, zone, coupon), False
    if order.terms is None:
        check_customer(session, creator_id, order.card, "payment_method.customer")
        _welcome(session, creator_id, coupon, [row for row, _ in before])
    days = _trial_days(order, plan, [of.code for _, of in before])
    card = order.card or next((Card(row.customer, row.method) for row, _ in before if row.customer is not None), None)
    wanted = Wanted(
        creator_id,
        plan.id,
        order.quantity,
        zone,
        anchor=_anchor(order, plan, zone, at + timedelta(days=days)),
        trial_days=days,
        coupon_id=None if coupon is None else coupon.id,
        coupon_periods=None if coupon is None else coupon.periods,
        tax_rate_id=_tax_rate(session, order, before),
        customer=None if card is None else card.customer,
        method=None if card is None else card.method,
    )
    return billing_store.subscribe(session, wanted, at), True


def _plan(session: Session, order: Order) -> Plan:
    plan = plan_store.newest(session, order.plan)
    if plan is None:
        raise BadOrder("plan.not_found", "plan", "There is no plan with this code on sale.")
    _, broken = billing_domain.readable_offers(session, {plan.id})
    if broken:
        raise BadOrder(
            "plan.not_found", "plan", "This plan cannot be billed as it stands; its terms have to be mended."
        )
    return plan


def _zone(name: str) -> str:
    try:
        zone_of(name)
    except BillingError as error:
        raise BadOrder(error.code, "time_zone", error.message) from None
    return name


def _coupon(session: Session, order: Order, plan: Plan) -> Coupon | None:
    if order.coupon is None:
        return None
    coupon = plan_catalog.find_coupon(session, order.coupon)
    if coupon is None:
        raise BadOrder("coupon.not_found", "coupon", "There is no coupon with this code.")
    if coupon.currency not in (None, plan.currency):
        message = f"This coupon is in {coupon.currency}, the plan in {plan.currency}."
        raise BadOrder("coupon.other_currency", "coupon", message)
    return coupon


def _same(row: Subscription, order: Order, zone: str, coupon: Coupon | None) -> Subscription:
    card = order.card or Card(row.customer or "", row.method)
    asked = (order.quantity, zone if order.time_zone else row.time_zone, coupon.id if coupon else row.coupon_id, card)
    if asked != (row.quantity, row.time_zone, row.coupon_id, Card(row.customer or "", row.method)):
        message = "There is a subscription to this plan with other terms; change that one, or cancel it first."
        raise Permanent("subscription.exists", message)
    return row


def _welcome(session: Session, creator_id: uuid.UUID, coupon: Coupon | None, before: Sequence[Subscription]) -> None:
    """What a creator who asks for it may have again, and who may have nothing more until a debt is paid."""
    if coupon is not None and any(row.coupon_id == coupon.id for row in before):
        raise BadOrder("coupon.used", "coupon", "This coupon was used before.")
    given_up = (
        select(Receivable.invoice_id)
        .join(Invoice, Invoice.id == Receivable.invoice_id)
        .where(Invoice.creator_id == creator_id, Receivable.state == ReceivableState.UNCOLLECTED)
    )
    if session.execute(select(exists(given_up))).scalar_one():
        raise Permanent("subscription.owes", "An invoice was not paid in spite of reminders; pay it first.")


def check_customer(session: Session, creator_id: uuid.UUID, card: Card | None, field: str) -> None:
    """Whoever named a customer first has them: nobody lets another pay. Two who name one at once take turns. Raises
    BadOrder on `field`."""
    if card is None:
        return
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(card.customer, 0))))
    others = select(Subscription.id).where(
        Subscription.customer == card.customer, Subscription.creator_id != creator_id
    )
    if session.execute(select(exists(others))).scalar_one():
        message = "This customer belongs to another creator; name one of your own."
        raise BadOrder("payment.other_customer", field, message)


def refuse_unpaid_credit(session: Session, subscription_id: uuid.UUID) -> None:
    """Who has not paid for a period gets no credit for its rest: it would pay for something else, and the period might
    never be paid. Raises Permanent(subscription.unpaid) where anything of the subscription is owed."""
    owed = (
        select(Receivable.invoice_id)
        .join(Invoice, Invoice.id == Receivable.invoice_id)
        .where(Invoice.subscription_id == subscription_id, Receivable.open_minor > 0)
    )
    if session.execute(select(exists(owed))).scalar_one():
        message = "This gives back what is not paid yet; pay the open invoice of this subscription first."
        raise Permanent("subscription.unpaid", message)


def is_credit(session: Session, numbers: Sequence[int]) -> bool:
    """Whether one of these invoices gives more back than it asks for."""
    query = select(Invoice.id).where(Invoice.number.in_(numbers), Invoice.total_minor < 0)
    return bool(session.execute(select(exists(query))).scalar_one())


def _trial_days(order: Order, plan: Plan, had: Sequence[str]) -> int:
    if order.terms is not None and order.terms.trial_days is not None:
        return order.terms.trial_days
    return 0 if plan.code in had else plan.trial_days


def _anchor(order: Order, plan: Plan, zone: str, first: datetime) -> datetime | None:
    if order.terms is None or order.terms.anchor_day is None:
        return None
    try:
        return anchor_on_day(first, order.terms.anchor_day, zone, Unit(plan.interval), plan.interval_count)
    except BillingError as error:
        raise BadOrder(error.code, "anchor_day", error.message) from None


def _tax_rate(session: Session, order: Order, before: Sequence[tuple[Subscription, Plan]]) -> uuid.UUID | None:
    """The rate that an operator names, or that of the last subscription, or else the fleet's: nobody is billed without
    the tax that was meant."""
    if order.terms is not None and order.terms.tax_rate is not None:
        return _rate(session, order.terms.tax_rate)
    had = next((row.tax_rate_id for row, _ in before if row.tax_rate_id is not None), None)
    if had is not None or order.first_tax_rate is None or before:
        return had
    try:
        return _rate(session, order.first_tax_rate)
    except BadOrder:
        message = "The tax rate of new subscriptions is not loaded; an operator has to see to HUNTAZE_BILLING_TAX_RATE."
        raise Permanent("subscription.no_tax_rate", message) from None


def _rate(session: Session, name: str) -> uuid.UUID:
    rate: TaxRate | None = plan_catalog.newest_rate(session, name)
    if rate is None:
        raise BadOrder("tax_rate.not_found", "tax_rate", "There is no tax rate with this name.")
    return rate.id
