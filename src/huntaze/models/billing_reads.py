"""What creators and operators are shown of billing. Every query of a creator names the creator."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, text, true
from sqlalchemy.orm import Session

from huntaze.models.billing_invoices import CreditNote, Invoice, InvoiceLine, Receivable
from huntaze.models.billing_ledger import CreditBalance, LedgerEntry
from huntaze.models.billing_payments import Payment
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_subscriptions import Subscription


@dataclass(frozen=True)
class Shown:
    """An invoice with all that stands on it and all that came after it."""

    invoice: Invoice
    receivable: Receivable
    lines: Sequence[InvoiceLine] = ()
    payments: Sequence[Payment] = ()
    credit_notes: Sequence[CreditNote] = ()


def list_invoices(
    session: Session, creator_id: uuid.UUID | None, *, before: uuid.UUID | None = None, limit: int = 50
) -> list[Shown]:
    """Newest first, below the cursor `before`, without lines. None: of all creators, for an operator."""
    query = select(Invoice, Receivable).join(Receivable, Receivable.invoice_id == Invoice.id)
    query = query.where(_owned(Invoice.creator_id, creator_id)).order_by(Invoice.id.desc()).limit(limit)
    rows = session.execute(query if before is None else query.where(Invoice.id < before))
    return [Shown(row[0], row[1]) for row in rows]


def get_invoice(session: Session, invoice_id: uuid.UUID, creator_id: uuid.UUID | None) -> Shown | None:
    """One invoice, if it is this creator's; any for an operator (None)."""
    query = select(Invoice, Receivable).join(Receivable, Receivable.invoice_id == Invoice.id)
    row = session.execute(query.where(Invoice.id == invoice_id, _owned(Invoice.creator_id, creator_id))).one_or_none()
    if row is None:
        return None
    lines = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice_id).order_by(InvoiceLine.position)
    payments = select(Payment).where(Payment.invoice_id == invoice_id).order_by(Payment.id)
    notes = select(CreditNote).where(CreditNote.invoice_id == invoice_id).order_by(CreditNote.number)
    return Shown(
        row[0], row[1], session.scalars(lines).all(), session.scalars(payments).all(), session.scalars(notes).all()
    )


def list_subscriptions(
    session: Session, creator_id: uuid.UUID | None, *, before: uuid.UUID | None = None, limit: int = 50
) -> list[tuple[Subscription, Plan]]:
    """Newest first, below the cursor `before`, each with the plan of its next period."""
    query = select(Subscription, Plan).join(Plan, Plan.id == Subscription.plan_id)
    query = query.where(_owned(Subscription.creator_id, creator_id)).order_by(Subscription.id.desc()).limit(limit)
    rows = session.execute(query if before is None else query.where(Subscription.id < before))
    return [(row[0], row[1]) for row in rows]


def get_subscription(
    session: Session, subscription_id: uuid.UUID, creator_id: uuid.UUID | None
) -> tuple[Subscription, Plan] | None:
    """One subscription with its plan, if it is this creator's."""
    query = select(Subscription, Plan).join(Plan, Plan.id == Subscription.plan_id)
    row = session.execute(
        query.where(Subscription.id == subscription_id, _owned(Subscription.creator_id, creator_id))
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def list_held(session: Session, limit: int = 100) -> Sequence[Subscription]:
    """Subscriptions whose billing waits for a person."""
    query = select(Subscription).where(Subscription.held_code.is_not(None)).order_by(Subscription.id).limit(limit)
    return session.scalars(query).all()


def list_entries(
    session: Session, creator_id: uuid.UUID | None, *, before: int | None = None, limit: int = 50
) -> Sequence[LedgerEntry]:
    """A creator's entries in the ledger, newest first, below the cursor `before`."""
    query = select(LedgerEntry).where(_owned(LedgerEntry.creator_id, creator_id)).order_by(LedgerEntry.id.desc())
    query = query if before is None else query.where(LedgerEntry.id < before)
    return session.scalars(query.limit(limit)).all()


def credit_balances(session: Session, creator_id: uuid.UUID) -> dict[str, int]:
    """{currency: credit in minor units}."""
    query = select(CreditBalance.currency, CreditBalance.balance_minor).where(CreditBalance.creator_id == creator_id)
    return {row.currency: row.balance_minor for row in session.execute(query)}


@dataclass(frozen=True)
class Backlog:
    """What a run at `slot` has before it."""

    due: int
    held: int
    oldest: datetime | None


_BACKLOG = text("""
    SELECT count(*) FILTER (WHERE held_code IS NULL AND next_billing_at <= :slot) AS due,
           count(*) FILTER (WHERE held_code IS NOT NULL) AS held,
           min(next_billing_at) FILTER (WHERE held_code IS NULL AND next_billing_at <= :slot) AS oldest
    FROM subscriptions WHERE status = 'active' AND (next_billing_at <= :slot OR held_code IS NOT NULL)
""")


def backlog(session: Session, slot: datetime) -> Backlog:
    """Counts what is due, and what is held."""
    row = session.execute(_BACKLOG, {"slot": slot}).one()
    return Backlog(row.due, row.held, row.oldest)


def db_now(session: Session) -> datetime:
    """The database's clock."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _owned(column: object, creator_id: uuid.UUID | None) -> ColumnElement[bool]:
    return true() if creator_id is None else column == creator_id  # type: ignore[return-value]
