"""Writing invoices: all of a batch by a handful of statements, the numbers taken last."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import billing_books, billing_domain, event_store
from huntaze.models.base import new_id
from huntaze.models.billing_books import Holder, Transaction
from huntaze.models.billing_invoices import ReceivableState
from huntaze.models.billing_ledger import Account
from huntaze.models.billing_subscriptions import Subscription
from huntaze.pipelines.billing.invoice import Draft
from huntaze.pipelines.billing.periods import Period


@dataclass(frozen=True)
class Drafted:
    """An invoice that waits for its number. `invoice_id` marks its usage and items already."""

    invoice_id: uuid.UUID
    subscription: Subscription
    period: Period
    draft: Draft


_INVOICES = text("""
    INSERT INTO invoices (
        id, number, creator_id, subscription_id, plan_id, period_start, period_end, currency, subtotal_minor,
        discount_minor, tax_minor, total_minor, credit_applied_minor, due_minor, issued_at
    )
    SELECT id, number, creator_id, subscription_id, plan_id, period_start, period_end, currency, subtotal_minor,
           discount_minor, tax_minor, total_minor, credit_applied_minor, due_minor, issued_at
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        id uuid, number bigint, creator_id uuid, subscription_id uuid, plan_id uuid, period_start timestamptz,
        period_end timestamptz, currency text, subtotal_minor bigint, discount_minor bigint, tax_minor bigint,
        total_minor bigint, credit_applied_minor bigint, due_minor bigint, issued_at timestamptz
    )
""")
_LINES = text("""
    INSERT INTO invoice_lines (
        id, invoice_id, position, source_key, description, quantity, amount_minor, discount_minor, tax_minor,
        total_minor, detail, period_start, period_end
    )
    SELECT id, invoice_id, position, source_key, description, quantity, amount_minor, discount_minor, tax_minor,
           total_minor, detail, period_start, period_end
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        id uuid, invoice_id uuid, position int, source_key text, description text, quantity numeric,
        amount_minor bigint, discount_minor bigint, tax_minor bigint, total_minor bigint, detail jsonb,
        period_start timestamptz, period_end timestamptz
    )
""")
_RECEIVABLES = text("""
    INSERT INTO receivables (invoice_id, open_minor, state, next_attempt_at, dunning_step, settled_at)
    SELECT id, due_minor, CASE due_minor WHEN 0 THEN :paid ELSE :open END,
           CASE WHEN due_minor > 0 AND payable THEN issued_at END, 0, CASE due_minor WHEN 0 THEN issued_at END
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        id uuid, due_minor bigint, payable boolean, issued_at timestamptz
    )
""")
_EVENTS = text("""
    INSERT INTO events (id, creator_id, type, subject_id, data)
    SELECT id, creator_id, 'invoice.issued', subject_id, data
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (id uuid, creator_id uuid, subject_id uuid, data jsonb)
    ORDER BY CAST(data ->> 'number' AS bigint)
""")


def issue(session: Session, drafted: Sequence[Drafted], at: datetime) -> list[int]:
    """Writes invoices with lines, books and receivables, and tells their creators; returns their numbers."""
    if not drafted:
        return []
    _use_credit(session, drafted)
    numbers = billing_books.take_numbers(session, billing_books.INVOICES, len(drafted))
    rows = [_invoice(one, number, at) for one, number in zip(drafted, numbers, strict=True)]
    invoices = json.dumps(rows, default=str)
    session.execute(_INVOICES, {"rows": invoices})
    states = {"paid": ReceivableState.PAID, "open": ReceivableState.OPEN}
    session.execute(_RECEIVABLES, {"rows": invoices, **states})
    lines = [_line(one, position) for one in drafted for position in range(len(one.draft.lines))]
    if lines:
        session.execute(_LINES, {"rows": json.dumps(lines, default=str)})
    billing_books.post(session, [_transaction(one, at) for one in drafted])
    _tell(session, rows)
    return list(numbers)


def _invoice(one: Drafted, number: int, at: datetime) -> dict[str, Any]:
    draft, row = one.draft, one.subscription
    return {
        "id": one.invoice_id,
        "number": number,
        "creator_id": row.creator_id,
        "subscription_id": row.id,
        "plan_id": row.plan_id,
        "period_start": one.period.start,
        "period_end": one.period.end,
        "currency": draft.currency,
        "subtotal_minor": draft.subtotal_minor,
        "discount_minor": draft.discount_minor,
        "tax_minor": draft.tax_minor,
        "total_minor": draft.total_minor,
        "credit_applied_minor": draft.credit_applied_minor,
        "due_minor": draft.due_minor,
        "issued_at": at,
        "payable": row.method is not None,
    }


def _line(one: Drafted, position: int) -> dict[str, Any]:
    line = one.draft.lines[position]
    return {
        "id": new_id(),
        "invoice_id": one.invoice_id,
        "position": position,
        "source_key": line.source_key,
        "description": line.description[:255],
        "quantity": line.quantity,
        "amount_minor": line.amount_minor,
        "discount_minor": line.discount_minor,
        "tax_minor": line.tax_minor,
        "total_minor": line.total_minor,
        "detail": billing_domain.detail_of(line),
        "period_start": line.period.start,
        "period_end": line.period.end,
    }


def _transaction(one: Drafted, at: datetime) -> Transaction:
    """Owed and taken from credit on one side, earned and owed to the state on the other."""
    draft, row = one.draft, one.subscription
    amounts = {
        Account.RECEIVABLE: draft.due_minor,
        Account.CREDIT: draft.credit_applied_minor,
        Account.REVENUE: draft.tax_minor - draft.total_minor,
        Account.TAX: -draft.tax_minor,
    }
    return Transaction(one.invoice_id, "invoice", row.creator_id, draft.currency, at, amounts, one.invoice_id)


def _use_credit(session: Session, drafted: Iterable[Drafted]) -> None:
    moved: Counter[Holder] = Counter()
    for one in drafted:
        moved[one.subscription.creator_id, one.draft.currency] -= one.draft.credit_applied_minor
    billing_books.move_credit(session, moved)


def _tell(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """`invoice.issued`, in the order of the numbers."""
    session.execute(_EVENTS, {"rows": json.dumps([_event(row) for row in rows], default=str)})
    event_store.wake_placer(session)


def _event(row: dict[str, Any]) -> dict[str, Any]:
    told = ("number", "subscription_id", "period_start", "period_end", "currency", "total_minor", "due_minor")
    data = {"invoice_id": row["id"], **{name: row[name] for name in told}}
    return {"id": new_id(), "creator_id": row["creator_id"], "subject_id": row["id"], "data": data}
