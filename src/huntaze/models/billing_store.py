"""What is done to subscriptions. A change that counts at once gives back the rest of the period that was billed, and
lets a new one begin: the rest is billed by the new terms in the same transaction."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models import billing_credit, billing_domain, billing_run, billing_usage
from huntaze.models.base import new_id
from huntaze.models.billing_invoices import Invoice, InvoiceLine
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_run import Billed, RunPolicy
from huntaze.models.billing_subscriptions import Subscription, SubscriptionChange, SubscriptionStatus
from huntaze.pipelines.billing import changes
from huntaze.pipelines.billing.invoice import Draft
from huntaze.pipelines.billing.periods import zone_of
from huntaze.pipelines.errors import Permanent

AS_USUAL = RunPolicy()


@dataclass(frozen=True)
class Wanted:
    """Who subscribes to what. `anchor`: a moment that boundaries are derived from; None: where the first period begins,
    which is after the trial. `trial_days`: None for the plan's own."""

    creator_id: uuid.UUID
    plan_id: uuid.UUID
    quantity: int = 1
    time_zone: str = "UTC"
    anchor: datetime | None = None
    trial_days: int | None = None
    coupon_id: uuid.UUID | None = None
    coupon_periods: int | None = None
    tax_rate_id: uuid.UUID | None = None
    customer: str | None = None
    method: str | None = None


def subscribe(session: Session, wanted: Wanted, at: datetime) -> Subscription:
    """A subscription from `at` on; its first invoice is the next run's. Raises BillingError for an unknown zone."""
    plan = session.get_one(Plan, wanted.plan_id)
    zone_of(wanted.time_zone)
    days = plan.trial_days if wanted.trial_days is None else wanted.trial_days
    trial_end = at + timedelta(days=days) if days else None
    first = trial_end or at
    row = Subscription(
        id=new_id(),
        creator_id=wanted.creator_id,
        plan_id=plan.id,
        quantity=wanted.quantity,
        anchor=wanted.anchor or first,
        time_zone=wanted.time_zone,
        started_at=at,
        trial_end=trial_end,
        next_billing_at=first,
        coupon_id=wanted.coupon_id,
        coupon_left=wanted.coupon_periods,
        tax_rate_id=wanted.tax_rate_id,
        customer=wanted.customer,
        method=wanted.method,
    )
    session.add(row)
    session.flush()
    _note(session, row, "start", at, plan_id=str(plan.id), quantity=wanted.quantity)
    return row


def change(
    session: Session,
    subscription_id: uuid.UUID,
    at: datetime,
    *,
    plan_id: uuid.UUID | None = None,
    quantity: int | None = None,
    now: bool = True,
    policy: RunPolicy = AS_USUAL,
) -> Billed:
    """Another plan or quantity: from `at` on, billed in this transaction, or (`now=False`) from the next period on.

    Raises Permanent: `subscription.not_found`, `.not_active`, `.held`, `.too_early`, `.other_currency`.
    """
    row = _active(session, subscription_id, at, policy)
    _apply(session, row, at, plan_id or row.plan_id, row.quantity if quantity is None else quantity, now)
    due = row.next_billing_at is not None and row.next_billing_at <= at
    return billing_run.bill(session, [row], at, policy) if due else Billed()


def preview(
    session: Session,
    subscription_id: uuid.UUID,
    at: datetime,
    *,
    plan_id: uuid.UUID | None = None,
    quantity: int | None = None,
    now: bool = True,
    policy: RunPolicy = AS_USUAL,
) -> Draft | None:
    """The invoice that `change` would lead to: made by the change itself, and taken back. None: it would be held."""
    savepoint = session.begin_nested()
    try:
        row = _active(session, subscription_id, at, policy)
        _apply(session, row, at, plan_id or row.plan_id, row.quantity if quantity is None else quantity, now)
        assert row.next_billing_at is not None
        drafted, _ = billing_run.draft(session, [row], max(at, row.next_billing_at), policy)
        return drafted[0].draft if drafted else None
    finally:
        savepoint.rollback()
        session.expire_all()


def _apply(session: Session, row: Subscription, at: datetime, plan_id: uuid.UUID, quantity: int, now: bool) -> None:
    offers = billing_domain.load_offers(session, {row.plan_id, plan_id})
    old, new = offers[row.plan_id], offers[plan_id]
    if new.plan.currency != old.plan.currency:
        raise Permanent("subscription.other_currency", f"This subscription is billed in {old.plan.currency}.")
    noted = _note(session, row, "change", at, plan_id=str(plan_id), quantity=quantity, now=now)
    other_cycle = (new.unit, new.count) != (old.unit, old.count)
    begun = row.period_start is not None
    if now and begun:
        _give_back(session, row, at, noted.id)
        row.next_billing_at = at
    if other_cycle and begun:
        assert row.next_billing_at is not None
        row.anchor = row.next_billing_at
    row.plan_id, row.quantity = plan_id, quantity
    session.flush()


def pause(session: Session, subscription_id: uuid.UUID, at: datetime, policy: RunPolicy = AS_USUAL) -> None:
    """Nothing falls due any more; the rest of the period that was billed is given back on the next invoice."""
    row = _active(session, subscription_id, at, policy)
    noted = _note(session, row, "pause", at)
    if row.period_start is not None:
        _give_back(session, row, at, noted.id)
        row.period_end = at
    row.status, row.next_billing_at = SubscriptionStatus.PAUSED, None
    session.flush()


def resume(session: Session, subscription_id: uuid.UUID, at: datetime) -> None:
    """Falls due again from `at` on, with the rest of the period that the anchor says. Raises Permanent."""
    row = lock(session, subscription_id)
    if row.status != SubscriptionStatus.PAUSED:
        raise Permanent("subscription.not_paused", "Only a paused subscription can be resumed.")
    _after_begin(row, at)
    row.status, row.next_billing_at = SubscriptionStatus.ACTIVE, max(at, row.trial_end or at)
    _note(session, row, "resume", row.next_billing_at)
    session.flush()


def cancel(
    session: Session,
    subscription_id: uuid.UUID,
    at: datetime,
    *,
    now: bool = False,
    give_back: bool = False,
    policy: RunPolicy = AS_USUAL,
) -> Billed:
    """At the end of the period, or `now`: what was used is billed, and with `give_back` the rest of the fees is not."""
    row = lock(session, subscription_id)
    if row.status == SubscriptionStatus.ACTIVE:
        row = _active(session, subscription_id, at, policy)
    elif row.status == SubscriptionStatus.CANCELLED:
        return Billed()
    noted = _note(session, row, "cancel", at, now=now, give_back=give_back)
    if row.status == SubscriptionStatus.ACTIVE and not now:
        row.cancel_at = row.next_billing_at
        session.flush()
        return Billed()
    if row.status == SubscriptionStatus.ACTIVE and give_back and row.period_start is not None:
        _give_back(session, row, at, noted.id)
    _after_begin(row, at)
    row.status, row.cancel_at, row.next_billing_at = SubscriptionStatus.ACTIVE, at, at
    return billing_run.bill(session, [row], at, policy)


def release(session: Session, subscription_id: uuid.UUID, until: datetime) -> None:
    """A person has looked: all periods that begin up to `until` may be billed."""
    row = lock(session, subscription_id)
    row.held_code = row.held_message = None
    row.released_until = until
    _note(session, row, "release", until)


def lock(session: Session, subscription_id: uuid.UUID) -> Subscription:
    """The row, for this transaction alone. Raises Permanent(subscription.not_found)."""
    row = session.get(Subscription, subscription_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise Permanent("subscription.not_found", "There is no subscription with this id.")
    return row


def _active(session: Session, subscription_id: uuid.UUID, at: datetime, policy: RunPolicy) -> Subscription:
    """The row, locked, with every period billed that began before `at`: what is done to it concerns the present one."""
    row = lock(session, subscription_id)
    while row.status == SubscriptionStatus.ACTIVE and row.held_code is None and row.next_billing_at <= at:  # type: ignore[operator]
        billing_run.bill(session, [row], at, policy)
    if row.held_code is not None:
        raise Permanent("subscription.held", "Billing of this subscription waits for a person to look at it.")
    if row.status != SubscriptionStatus.ACTIVE:
        raise Permanent("subscription.not_active", f"This subscription is {row.status}.")
    return row


def _give_back(session: Session, row: Subscription, at: datetime, change_id: uuid.UUID) -> None:
    """Carries the unused rest of the fees of the running period, as they were billed, to the next invoice."""
    assert row.billed_plan_id is not None
    _after_begin(row, at)
    offer = billing_domain.load_offers(session, {row.billed_plan_id})[row.billed_plan_id]
    query = (
        select(InvoiceLine)
        .join(Invoice, Invoice.id == InvoiceLine.invoice_id)
        .where(Invoice.subscription_id == row.id, Invoice.period_start == row.period_start)
        .order_by(InvoiceLine.position)
    )
    rows = session.scalars(query).all()
    lost = billing_credit.lost_minor(session, rows[0].invoice_id) if rows else 0
    billed = [billing_domain.line_of(line) for line in rows]
    cycle = billing_domain.billed_cycle_of(row, offer)
    rule = offer.plan.proration
    lines = changes.credit_lines(billed, at, cycle, rule, change=str(change_id), lost_minor=lost)
    billing_usage.carry(session, row.id, lines)


def _after_begin(row: Subscription, at: datetime) -> None:
    """Two periods of one subscription cannot begin at the same moment."""
    if row.period_start is not None and at <= row.period_start:
        raise Permanent(
            "subscription.too_early", "The period that was billed last begins later; try again after it has."
        )


def _note(session: Session, row: Subscription, kind: str, at: datetime, **data: Any) -> SubscriptionChange:
    noted = SubscriptionChange(id=new_id(), subscription_id=row.id, kind=kind, at=at, data=data)
    session.add(noted)
    return noted
