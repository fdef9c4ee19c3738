"""What follows a failed payment: tries by the plan's schedule, notices, and an end."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models import billing_domain, event_store
from huntaze.models.base import new_id
from huntaze.models.billing_invoices import Invoice, Receivable, ReceivableState
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_subscriptions import Subscription, SubscriptionChange, SubscriptionStatus
from huntaze.pipelines.billing.retries import Dunning, End

_REASON = "dunning"


def step(session: Session, owed: Receivable, invoice: Invoice, code: str, at: datetime) -> None:
    """One more failure: the next try is the first of the schedule that is still to come, or this was the last."""
    schedule = _schedule(session, invoice)
    owed.first_failed_at = owed.first_failed_at or at
    tries = schedule.tries(owed.first_failed_at)
    while owed.dunning_step < len(tries) and tries[owed.dunning_step] <= at:
        owed.dunning_step += 1
    data = {"invoice_id": str(invoice.id), "number": invoice.number, "code": code, "open_minor": owed.open_minor}
    if owed.dunning_step < len(tries):
        owed.next_attempt_at = tries[owed.dunning_step]
        data["next_attempt_at"] = owed.next_attempt_at.isoformat()
        event_store.emit(session, invoice.creator_id, "payment.failed", invoice.id, data)
        return
    owed.state, owed.next_attempt_at = ReceivableState.UNCOLLECTED, None
    event_store.emit(session, invoice.creator_id, "payment.given_up", invoice.id, data)
    _end(session, invoice, schedule.end, at)


def wait(session: Session, owed: Receivable, invoice: Invoice, at: datetime) -> None:
    """The customer has as long as the schedule's next try is away."""
    tries = _schedule(session, invoice).tries(owed.first_failed_at or at)
    owed.first_failed_at = owed.first_failed_at or at
    owed.next_attempt_at = next((one for one in tries if one > at), None)


def recover(session: Session, invoice: Invoice, at: datetime) -> None:
    """The debt was paid after all: what dunning paused goes on, if it was the last debt of the subscription."""
    row = _lock(session, invoice)
    query = select(SubscriptionChange.data).where(
        SubscriptionChange.subscription_id == row.id, SubscriptionChange.kind == "pause"
    )
    last = session.scalars(query.order_by(SubscriptionChange.id.desc()).limit(1)).one_or_none()
    others = (
        select(Receivable.invoice_id)
        .join(Invoice, Invoice.id == Receivable.invoice_id)
        .where(Invoice.subscription_id == row.id, Receivable.state == ReceivableState.UNCOLLECTED)
    )
    paused = row.status == SubscriptionStatus.PAUSED and (last or {}).get("reason") == _REASON
    if not paused or session.scalars(others.limit(1)).one_or_none() is not None:
        return
    resumed = at if row.period_start is None else max(at, row.period_start)
    row.status, row.next_billing_at = SubscriptionStatus.ACTIVE, max(resumed, row.period_end or resumed)
    _tell(session, invoice, row, "resume", row.next_billing_at, "subscription.resumed")


def _end(session: Session, invoice: Invoice, end: End, at: datetime) -> None:
    """Pauses the subscription, or lets it end: the next run then bills what was used."""
    row = _lock(session, invoice)
    if row.status != SubscriptionStatus.ACTIVE or row.next_billing_at is None:
        return
    if end is End.PAUSE:
        row.status, row.next_billing_at = SubscriptionStatus.PAUSED, None
        _tell(session, invoice, row, "pause", at, "subscription.paused")
        return
    row.cancel_at = at if row.cancel_at is None else min(at, row.cancel_at)
    if row.next_billing_at > row.cancel_at and (row.period_start is None or row.cancel_at > row.period_start):
        row.next_billing_at = row.cancel_at
    _tell(session, invoice, row, "cancel", at, "subscription.cancelled")


def _tell(session: Session, invoice: Invoice, row: Subscription, kind: str, at: datetime, type: str) -> None:
    data = {"reason": _REASON, "invoice_id": str(invoice.id)}
    session.add(SubscriptionChange(id=new_id(), subscription_id=row.id, kind=kind, at=at, data=data))
    session.flush()
    event_store.emit(session, row.creator_id, type, row.id, data)


def _lock(session: Session, invoice: Invoice) -> Subscription:
    return session.get_one(Subscription, invoice.subscription_id, with_for_update=True, populate_existing=True)


def _schedule(session: Session, invoice: Invoice) -> Dunning:
    """Of the plan that the invoice was billed by."""
    written = session.scalars(select(Plan.dunning).where(Plan.id == invoice.plan_id)).one()
    return billing_domain.dunning_from_json(written)
