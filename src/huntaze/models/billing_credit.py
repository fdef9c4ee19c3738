"""Taking back: credit notes, refunds, write-offs. The invoice stays as it was written."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import billing_books, event_store, payment_disputes, payment_store
from huntaze.models.base import new_id
from huntaze.models.billing_books import Transaction
from huntaze.models.billing_invoices import CreditNote, Invoice, Receivable, ReceivableState
from huntaze.models.billing_ledger import Account
from huntaze.models.billing_payments import Payment, Refund, RefundState
from huntaze.pipelines.billing.money import round_half_away
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import Declined, Outcome, Succeeded


def credit_note(
    session: Session,
    invoice_id: uuid.UUID,
    amount_minor: int,
    *,
    reason: str,
    source_key: str,
    at: datetime,
    refund: bool = False,
) -> CreditNote:
    """Takes back `amount_minor`, taxes in it: first from what is owed, then, if `refund`, from what was paid, the rest
    as credit. The same `source_key` gives the same note. Raises Permanent(`invoice.not_found`, `.overcredited`,
    `.disputed`)."""
    owed = payment_store.lock(session, invoice_id)
    written = session.scalars(select(CreditNote).where(CreditNote.source_key == source_key)).one_or_none()
    if written is not None:
        return written
    invoice = session.get_one(Invoice, invoice_id)
    note = _divide(session, invoice, owed, amount_minor, refund)
    note.reason, note.source_key, note.issued_at = reason, source_key, at
    payments = _refundable(session, invoice_id) if note.to_cash_minor else []
    payment_store.reduce(owed, note.to_receivable_minor, at)
    billing_books.move_credit(session, {(invoice.creator_id, invoice.currency): note.to_credit_minor})
    (note.number,) = billing_books.take_numbers(session, billing_books.CREDIT_NOTES, 1)
    session.add(note)
    session.flush()
    amounts = {
        Account.REVENUE: note.total_minor - note.tax_minor,
        Account.TAX: note.tax_minor,
        Account.RECEIVABLE: -note.to_receivable_minor,
        Account.CREDIT: -note.to_credit_minor,
        Account.CASH: -note.to_cash_minor,
    }
    booked = Transaction(note.id, "credit_note", invoice.creator_id, invoice.currency, at, amounts, invoice_id)
    billing_books.post(session, [booked])
    _begin_refunds(session, note, payments)
    data = {"invoice_id": str(invoice_id), "number": note.number, "total_minor": note.total_minor}
    event_store.emit(session, invoice.creator_id, "invoice.credited", invoice_id, data)
    return note


def _divide(session: Session, invoice: Invoice, owed: Receivable, amount: int, refund: bool) -> CreditNote:
    """Where the amount goes, and how much of it is tax: of all notes together the same share as of the invoice."""
    sums = select(func.coalesce(func.sum(CreditNote.total_minor), 0), func.coalesce(func.sum(CreditNote.tax_minor), 0))
    before, tax_before = session.execute(sums.where(CreditNote.invoice_id == invoice.id)).one()
    if amount > owed.open_minor and payment_disputes.is_disputed(session, invoice.id):
        raise Permanent("invoice.disputed", "The customer's bank took the payment back, or may.")
    if not 0 < amount <= invoice.total_minor - int(before):
        left = max(invoice.total_minor - int(before), 0)
        raise Permanent("invoice.overcredited", f"Of this invoice {left} minor units can still be taken back.")
    share = Fraction(int(before) + amount, invoice.total_minor)
    from_owed = min(amount, owed.open_minor)
    paid = sum(one.amount_minor - one.refunded_minor - one.to_credit_minor for one in _refundable(session, invoice.id))
    back = min(amount - from_owed, max(paid, 0)) if refund else 0
    return CreditNote(
        id=new_id(),
        invoice_id=invoice.id,
        total_minor=amount,
        tax_minor=round_half_away(invoice.tax_minor * share) - int(tax_before),
        to_receivable_minor=from_owed,
        to_cash_minor=back,
        to_credit_minor=amount - from_owed - back,
    )


def _refundable(session: Session, invoice_id: uuid.UUID) -> Sequence[Payment]:
    query = select(Payment).where(Payment.invoice_id == invoice_id).order_by(Payment.id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def _begin_refunds(session: Session, note: CreditNote, payments: Sequence[Payment]) -> None:
    left = note.to_cash_minor
    for payment in payments:
        amount = min(left, payment.amount_minor - payment.refunded_minor - payment.to_credit_minor)
        if amount > 0:
            payment.refunded_minor += amount
            left -= amount
            session.add(
                Refund(
                    id=new_id(),
                    payment_id=payment.id,
                    credit_note_id=note.id,
                    amount_minor=amount,
                    currency=payment.currency,
                    idempotency_key=uuid.uuid4().hex,
                    state=RefundState.STARTED,
                )
            )
    session.flush()


@dataclass(frozen=True)
class Return:
    """What the gateway is to be asked to give back, under the same key until it has answered."""

    refund_id: uuid.UUID
    reference: str
    amount_minor: int
    currency: str
    idempotency_key: str


def refunds_due(session: Session, limit: int = 500) -> Sequence[uuid.UUID]:
    """Refunds that have no answer yet."""
    query = select(Refund.id).where(Refund.state == RefundState.STARTED).order_by(Refund.id).limit(limit)
    return session.scalars(query).all()


def load_refund(session: Session, refund_id: uuid.UUID) -> Return | None:
    """None if it has its answer."""
    query = select(Refund, Payment.reference).join(Payment, Payment.id == Refund.payment_id)
    row = session.execute(query.where(Refund.id == refund_id, Refund.state == RefundState.STARTED)).one_or_none()
    if row is None:
        return None
    refund, reference = row
    return Return(refund.id, reference, refund.amount_minor, refund.currency, refund.idempotency_key)


def settle_refund(session: Session, refund_id: uuid.UUID, outcome: Outcome, at: datetime) -> None:
    """What the gateway said. Money that could not be given back becomes the creator's credit, unless the customer's
    bank has it already."""
    refund = session.get_one(Refund, refund_id, with_for_update=True, populate_existing=True)
    if refund.state != RefundState.STARTED:
        return
    if isinstance(outcome, Succeeded):
        refund.state, refund.reference, refund.ended_at = RefundState.SUCCEEDED, outcome.reference, at
    elif isinstance(outcome, Declined):
        refund.reference, refund.ended_at = outcome.reference, at
        _not_refunded(session, refund, session.get_one(Payment, refund.payment_id), at)
    session.flush()


def _not_refunded(session: Session, refund: Refund, payment: Payment, at: datetime) -> None:
    overtaken = payment_disputes.is_disputed(session, payment.invoice_id)
    refund.state = RefundState.OVERTAKEN if overtaken else RefundState.FAILED
    gets = Account.DISPUTE if overtaken else Account.CREDIT
    amounts = {Account.CASH: refund.amount_minor, gets: -refund.amount_minor}
    holder = (payment.creator_id, refund.currency)
    booked = Transaction(refund.id, "refund_failed", *holder, at, amounts, payment.invoice_id)
    billing_books.post(session, [booked])
    if not overtaken:
        billing_books.move_credit(session, {holder: refund.amount_minor})


_LOST = text("""
    SELECT coalesce((SELECT sum(total_minor) FROM credit_notes WHERE invoice_id = owed.invoice_id), 0)
         + coalesce((SELECT sum(amount_minor) FROM ledger_entries
                     WHERE invoice_id = owed.invoice_id AND account = 'write_off'), 0)
         + coalesce((SELECT sum(dispute.amount_minor) FROM disputes AS dispute
                     JOIN payments AS payment ON payment.id = dispute.payment_id
                     WHERE payment.invoice_id = owed.invoice_id AND dispute.state <> 'won'), 0)
         + CASE owed.state WHEN 'uncollected' THEN owed.open_minor ELSE 0 END
    FROM receivables AS owed WHERE owed.invoice_id = :invoice_id
""")


def lost_minor(session: Session, invoice_id: uuid.UUID) -> int:
    """What of an invoice is not ours any more or never will be: credited, given up, taken back by a bank. A change in
    its period gives nothing of that back a second time."""
    return int(session.execute(_LOST, {"invoice_id": invoice_id}).scalar_one())


def write_off(session: Session, invoice_id: uuid.UUID, at: datetime) -> int:
    """Gives up what is left of an invoice; returns how much that was."""
    owed = payment_store.lock(session, invoice_id)
    amount = owed.open_minor
    if not amount:
        return 0
    invoice = session.get_one(Invoice, invoice_id)
    owed.open_minor, owed.state, owed.next_attempt_at = 0, ReceivableState.WRITTEN_OFF, None
    owed.settled_at = at
    amounts = {Account.WRITE_OFF: amount, Account.RECEIVABLE: -amount}
    booked = Transaction(new_id(), "write_off", invoice.creator_id, invoice.currency, at, amounts, invoice_id)
    billing_books.post(session, [booked])
    data = {"invoice_id": str(invoice_id), "number": invoice.number, "amount_minor": amount}
    event_store.emit(session, invoice.creator_id, "invoice.written_off", invoice_id, data)
    return amount
