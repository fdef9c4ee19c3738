"""Attempts, payments and dunning. Whoever changes what is left of an invoice holds the lock of its receivable.

An attempt is committed before the gateway is called. Notices of a gateway come twice, late and in any order: money that
came is always booked, once an attempt; whatever else comes after the end of an attempt is passed over.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from huntaze.models import billing_books, dunning, event_store
from huntaze.models.base import new_id
from huntaze.models.billing_books import Transaction
from huntaze.models.billing_invoices import Invoice, Receivable, ReceivableState
from huntaze.models.billing_ledger import Account
from huntaze.models.billing_payments import AttemptState, Payment, PaymentAttempt
from huntaze.models.billing_subscriptions import Subscription
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import Declined, Outcome, RequiresAction, Succeeded, Unknown

# Gateways forget keys after a day; one that is older could charge again instead of telling what it did.
KEY_LIFE = timedelta(hours=23)

_IN_FLIGHT = (AttemptState.STARTED, AttemptState.UNKNOWN, AttemptState.REQUIRES_ACTION)


def due(session: Session, slot: datetime, *, after: uuid.UUID | None = None, limit: int = 500) -> Sequence[uuid.UUID]:
    """Invoices that are to be charged by `slot`, in the order of their ids, above the cursor."""
    query = select(Receivable.invoice_id).where(Receivable.next_attempt_at <= slot)
    query = query if after is None else query.where(Receivable.invoice_id > after)
    return session.scalars(query.order_by(Receivable.invoice_id).limit(limit)).all()


@dataclass(frozen=True)
class Charge:
    """What the gateway is to be asked for: new, or once more with the same key."""

    attempt_id: uuid.UUID
    invoice_id: uuid.UUID
    number: int
    amount_minor: int
    currency: str
    customer: str | None
    method: str
    idempotency_key: str


def begin(session: Session, invoice_id: uuid.UUID, gateway: str, at: datetime) -> Charge | None:
    """The charge to make now, its attempt written; None if there is nothing to be asked for. To be committed before
    the call."""
    owed = lock(session, invoice_id)
    if owed.state != ReceivableState.OPEN or owed.next_attempt_at is None or owed.next_attempt_at > at:
        return None
    invoice, row, last = _asked_before(session, invoice_id)
    if last is not None and last.state in (AttemptState.STARTED, AttemptState.UNKNOWN):
        return _again(session, owed, last)
    if last is not None and last.state == AttemptState.REQUIRES_ACTION:
        last.state, last.code, last.retryable, last.ended_at = AttemptState.DECLINED, "action_not_taken", True, at
    if row.method is None:
        owed.next_attempt_at = None
        return None
    if last is not None and last.retryable is False and last.method == row.method:
        _failed(session, owed, invoice, last.code or "declined", at)  # asking the same card again is of no use
        return None
    attempt = PaymentAttempt(
        id=new_id(),
        invoice_id=invoice_id,
        number=1 if last is None else last.number + 1,
        idempotency_key=uuid.uuid4().hex,
        amount_minor=owed.open_minor,
        currency=invoice.currency,
        customer=row.customer,
        method=row.method,
        gateway=gateway,
        state=AttemptState.STARTED,
    )
    session.flush()  # what ended is no longer in flight
    session.add(attempt)
    session.flush()
    return _charge(attempt)


def _again(session: Session, owed: Receivable, last: PaymentAttempt) -> Charge | None:
    """The same key, as long as the gateway knows it; then the audit tells, and a person or a notice decides."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    if now - last.started_at > KEY_LIFE:
        owed.next_attempt_at = None
        return None
    return _charge(last)


def _charge(attempt: PaymentAttempt) -> Charge:
    return Charge(
        attempt.id,
        attempt.invoice_id,
        attempt.number,
        attempt.amount_minor,
        attempt.currency,
        attempt.customer,
        attempt.method,
        attempt.idempotency_key,
    )


def postpone(session: Session, invoice_id: uuid.UUID, until: datetime) -> None:
    """Asks no sooner than `until`: the gateway refuses us, which no haste mends."""
    owed = lock(session, invoice_id)
    if owed.next_attempt_at is not None:
        owed.next_attempt_at = max(until, owed.next_attempt_at)


def settle(session: Session, invoice_id: uuid.UUID, number: int, outcome: Outcome, at: datetime) -> str:
    """Writes down what came of an attempt, told by the call or by a notice; returns what was made of it, in a word."""
    owed = lock(session, invoice_id)
    query = select(PaymentAttempt, Invoice).join(Invoice, Invoice.id == PaymentAttempt.invoice_id)
    query = query.where(PaymentAttempt.invoice_id == invoice_id, PaymentAttempt.number == number)
    found = session.execute(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        return "no such attempt"
    attempt, invoice = found
    match outcome:
        case Succeeded():
            return _succeeded(session, owed, invoice, attempt, outcome, at)
        case Unknown():
            if attempt.state == AttemptState.STARTED:
                attempt.state = AttemptState.UNKNOWN
            return "unknown"
        case _ if attempt.state in (AttemptState.SUCCEEDED, AttemptState.DECLINED):
            return "over before"
        case RequiresAction():
            return _requires_action(session, owed, invoice, attempt, outcome, at)
        case Declined():
            attempt.state, attempt.ended_at, attempt.reference = AttemptState.DECLINED, at, outcome.reference
            attempt.code, attempt.retryable = outcome.code, outcome.retryable
            session.flush()
            if owed.state == ReceivableState.OPEN:
                _failed(session, owed, invoice, outcome.code, at)
            return "declined"


def _succeeded(
    session: Session, owed: Receivable, invoice: Invoice, attempt: PaymentAttempt, outcome: Succeeded, at: datetime
) -> str:
    if attempt.state == AttemptState.SUCCEEDED:
        return "paid before"
    attempt.state, attempt.ended_at, attempt.reference = AttemptState.SUCCEEDED, at, outcome.reference
    amount = attempt.amount_minor if outcome.amount_minor is None else outcome.amount_minor
    applied = min(amount, owed.open_minor)
    payment = Payment(
        id=new_id(),
        attempt_id=attempt.id,
        invoice_id=invoice.id,
        creator_id=invoice.creator_id,
        amount_minor=amount,
        currency=attempt.currency,
        to_credit_minor=amount - applied,
        refunded_minor=0,
        reference=outcome.reference,
        paid_at=at,
    )
    session.add(payment)
    session.flush()
    amounts = {Account.CASH: amount, Account.RECEIVABLE: -applied, Account.CREDIT: applied - amount}
    booked = Transaction(payment.id, "payment", invoice.creator_id, invoice.currency, at, amounts, invoice.id)
    billing_books.post(session, [booked])
    reduce(owed, applied, at)
    data = {
        "invoice_id": str(invoice.id),
        "number": invoice.number,
        "amount_minor": amount,
        "open_minor": owed.open_minor,
    }
    event_store.emit(session, invoice.creator_id, "invoice.paid", invoice.id, data | {"currency": invoice.currency})
    if owed.first_failed_at is not None and owed.state == ReceivableState.PAID:
        dunning.recover(session, invoice, at)
    # After the subscription's lock, as everywhere.
    billing_books.move_credit(session, {(invoice.creator_id, invoice.currency): amount - applied})
    return "paid"


def _requires_action(
    session: Session, owed: Receivable, invoice: Invoice, attempt: PaymentAttempt, outcome: RequiresAction, at: datetime
) -> str:
    if attempt.state != AttemptState.REQUIRES_ACTION:
        attempt.state, attempt.reference = AttemptState.REQUIRES_ACTION, outcome.reference
        if owed.state == ReceivableState.OPEN:
            dunning.wait(session, owed, invoice, at)
        data = {"invoice_id": str(invoice.id), "number": invoice.number, "reference": outcome.reference}
        event_store.emit(session, invoice.creator_id, "payment.action_required", invoice.id, data)
    return "action required"


def _failed(session: Session, owed: Receivable, invoice: Invoice, code: str, at: datetime) -> None:
    dunning.step(session, owed, invoice, code, at)


def reduce(owed: Receivable, amount_minor: int, at: datetime) -> None:
    """Takes from what is left of an invoice; at nought it is paid."""
    owed.open_minor -= amount_minor
    if not owed.open_minor and owed.state != ReceivableState.WRITTEN_OFF:
        owed.state, owed.next_attempt_at, owed.settled_at = ReceivableState.PAID, None, owed.settled_at or at


def ask_now(session: Session, subscription_id: uuid.UUID, method: str, customer: str | None, at: datetime) -> int:
    """Another card: what is owed is asked for at once with it; returns of how many invoices."""
    query = (
        select(Receivable)
        .join(Invoice, Invoice.id == Receivable.invoice_id)
        .where(Invoice.subscription_id == subscription_id)
        .where(Receivable.state.in_((ReceivableState.OPEN, ReceivableState.UNCOLLECTED)))
        .order_by(Receivable.invoice_id)
        .with_for_update(of=Receivable)  # before the subscription, as everywhere
    )
    owed = session.scalars(query).all()
    for one in owed:
        one.state, one.next_attempt_at = ReceivableState.OPEN, at
    row = session.get(Subscription, subscription_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise Permanent("subscription.not_found", "There is no subscription with this id.")
    row.method, row.customer = method, customer
    session.flush()
    return len(owed)


def lock(session: Session, invoice_id: uuid.UUID) -> Receivable:
    """What is left of an invoice, for this transaction alone. Raises Permanent(invoice.not_found)."""
    owed = session.get(Receivable, invoice_id, with_for_update=True, populate_existing=True)
    if owed is None:
        raise Permanent("invoice.not_found", "There is no invoice with this id.")
    return owed


def _asked_before(session: Session, invoice_id: uuid.UUID) -> tuple[Invoice, Subscription, PaymentAttempt | None]:
    """Read after the lock, by a statement of its own: one that waited for it would give rows of before."""
    newest = select(func.max(PaymentAttempt.number)).where(PaymentAttempt.invoice_id == invoice_id).scalar_subquery()
    query = (
        select(Invoice, Subscription, PaymentAttempt)
        .join(Subscription, Subscription.id == Invoice.subscription_id)
        .outerjoin(PaymentAttempt, and_(PaymentAttempt.invoice_id == Invoice.id, PaymentAttempt.number == newest))
        .where(Invoice.id == invoice_id)
    )
    invoice, row, last = session.execute(query, execution_options={"populate_existing": True}).one()
    return invoice, row, last
