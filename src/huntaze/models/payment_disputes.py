"""Disputes: a customer's bank takes a payment back, and perhaps gives it again. Booked by the movement, once each.

Notices come twice and in any order, and each brings all movements so far: what is missed is made up for by the next.
What an invoice asks for stays paid, as a card must not be charged again for what is disputed.
"""

import uuid
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import billing_books, event_store, payment_store
from huntaze.models.base import new_id
from huntaze.models.billing_books import Transaction
from huntaze.models.billing_ledger import Account
from huntaze.models.billing_payments import Dispute, DisputeMovement, Payment, PaymentAttempt
from huntaze.pipelines.payments.outcomes import DisputeNotice, DisputeState, Movement


def is_disputed(session: Session, invoice_id: uuid.UUID) -> bool:
    """Whether a payment of this invoice was taken back by the customer's bank, or may be."""
    query = select(Dispute.id).join(Payment, Payment.id == Dispute.payment_id)
    query = query.where(Payment.invoice_id == invoice_id, Dispute.state != DisputeState.WON)
    return bool(session.execute(select(exists(query))).scalar_one())


def settle(session: Session, gateway: str, notice: DisputeNotice, at: datetime) -> str:
    """Books what moved and is not booked yet; returns what was made of the notice, in a few words."""
    query = select(Payment).join(PaymentAttempt, PaymentAttempt.id == Payment.attempt_id)
    query = query.where(Payment.reference == notice.reference, PaymentAttempt.gateway == gateway)
    payment = session.scalars(query.order_by(Payment.id).limit(1)).one_or_none()
    if payment is None:
        return "not of a payment of ours"
    payment_store.lock(session, payment.invoice_id)  # credit notes wait, and other notices of this payment
    dispute = _dispute(session, gateway, notice, payment)
    moved = sum(_book(session, gateway, one, dispute, payment, at) for one in notice.movements)
    return f"{dispute.state}, {moved} movements booked"


def _dispute(session: Session, gateway: str, notice: DisputeNotice, payment: Payment) -> Dispute:
    """Its row, as the newest notice has it; at the same second an end comes after what was open."""
    query = select(Dispute).where(Dispute.gateway == gateway, Dispute.external_id == notice.external_id)
    row = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    told = {"amount_minor": notice.amount_minor, "currency": notice.currency, "reason": notice.reason}
    if row is None:
        row = Dispute(id=new_id(), payment_id=payment.id, gateway=gateway, external_id=notice.external_id, **told)
        row.state, row.told_at = DisputeState.OPEN, notice.told_at
        session.add(row)
        session.flush()
        _tell(session, "payment.disputed", row, payment)
    if (notice.told_at, notice.state != DisputeState.OPEN) > (row.told_at, row.state != DisputeState.OPEN):
        closed = notice.state not in (DisputeState.OPEN, row.state)
        for name, value in {**told, "state": notice.state, "told_at": notice.told_at}.items():
            setattr(row, name, value)
        session.flush()
        if closed:
            _tell(session, "payment.dispute_closed", row, payment)
    return row


def _book(session: Session, gateway: str, moved: Movement, dispute: Dispute, payment: Payment, at: datetime) -> bool:
    values = {"amount_minor": moved.amount_minor, "currency": moved.currency}
    statement = (
        insert(DisputeMovement)
        .values(id=new_id(), dispute_id=dispute.id, source_key=f"{gateway}:{moved.key}", **values)
        .on_conflict_do_nothing(index_elements=[DisputeMovement.source_key])
        .returning(DisputeMovement.id)
    )
    id = session.execute(statement).scalar_one_or_none()
    if id is None:
        return False
    amounts = {Account.CASH: moved.amount_minor, Account.DISPUTE: -moved.amount_minor}
    booked = Transaction(id, "dispute", payment.creator_id, moved.currency, at, amounts, payment.invoice_id)
    billing_books.post(session, [booked])
    return True


def _tell(session: Session, type: str, dispute: Dispute, payment: Payment) -> None:
    data = {
        "invoice_id": str(payment.invoice_id),
        "dispute_id": str(dispute.id),
        "state": dispute.state,
        "reason": dispute.reason,
        "amount_minor": dispute.amount_minor,
        "currency": dispute.currency,
    }
    event_store.emit(session, payment.creator_id, type, payment.invoice_id, data)
