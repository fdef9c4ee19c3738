"""Metered units and carried lines: counted once, billed once.

Billing marks them with the invoice's id by one UPDATE and sums what it marked: what comes in meanwhile is neither in
the sum nor marked, so the next invoice has it.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import billing_domain
from huntaze.models.base import new_id
from huntaze.models.billing_subscriptions import BillingItem
from huntaze.pipelines.billing.invoice import Line
from huntaze.pipelines.billing.plans import Usage


@dataclass(frozen=True)
class Metered:
    """Units of one meter. `source_key` names what was counted: told twice, counted once."""

    subscription_id: uuid.UUID
    meter: str
    quantity: Decimal
    occurred_at: datetime
    source_key: str


_RECORD = text("""
    INSERT INTO usage_records (id, subscription_id, meter, quantity, source_key, occurred_at)
    SELECT id, subscription_id, meter, quantity, source_key, occurred_at
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        id uuid, subscription_id uuid, meter text, quantity numeric, source_key text, occurred_at timestamptz
    )
    ORDER BY source_key
    ON CONFLICT (source_key) DO NOTHING
""")


def record(session: Session, units: Sequence[Metered]) -> int:
    """Counts units, however late they come; returns how many were new."""
    rows = [{"id": new_id(), **one.__dict__} for one in units]
    if not rows:
        return 0
    return session.execute(_RECORD, {"rows": json.dumps(rows, default=str)}).rowcount  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True)
class Share:
    """What an invoice takes of a subscription: usage that occurred before `until` (None: all), priced by a plan, and
    carried lines."""

    subscription_id: uuid.UUID
    invoice_id: uuid.UUID
    plan_id: uuid.UUID
    until: datetime | None


_TAKE_USAGE = text("""
    WITH taken AS (
        UPDATE usage_records AS one SET invoice_id = share.invoice_id, unpriced = NOT EXISTS (
            SELECT FROM plan_prices AS price WHERE price.plan_id = share.plan_id AND price.meter = one.meter
        )
        FROM jsonb_to_recordset(cast(:shares AS jsonb)) AS share (
            subscription_id uuid, invoice_id uuid, plan_id uuid, until timestamptz
        )
        WHERE one.subscription_id = share.subscription_id AND one.invoice_id IS NULL
          AND one.occurred_at < coalesce(share.until, 'infinity')
        RETURNING one.invoice_id, one.meter, one.quantity
    )
    SELECT invoice_id, meter, sum(quantity) AS quantity, count(*) AS events FROM taken GROUP BY invoice_id, meter
    ORDER BY invoice_id, meter
""")
_TAKE_ITEMS = text("""
    UPDATE billing_items AS item SET invoice_id = share.invoice_id
    FROM jsonb_to_recordset(cast(:shares AS jsonb)) AS share (subscription_id uuid, invoice_id uuid)
    WHERE item.subscription_id = share.subscription_id AND item.invoice_id IS NULL
    RETURNING item.invoice_id, item.id, item.line
""")


def take_usage(session: Session, shares: Sequence[Share]) -> dict[uuid.UUID, list[Usage]]:
    """{invoice id: usage}, marked as billed by it. The subscriptions are locked by the caller."""
    taken: dict[uuid.UUID, list[Usage]] = {}
    for row in session.execute(_TAKE_USAGE, {"shares": _json(shares)}):
        taken.setdefault(row.invoice_id, []).append(Usage(row.meter, row.quantity, row.events))
    return taken


def take_items(session: Session, shares: Sequence[Share]) -> dict[uuid.UUID, list[Line]]:
    """{invoice id: carried lines}, marked as billed by it."""
    taken: dict[uuid.UUID, list[Line]] = {}
    for row in sorted(session.execute(_TAKE_ITEMS, {"shares": _json(shares)}), key=lambda row: row.id):
        taken.setdefault(row.invoice_id, []).append(billing_domain.line_from_json(row.line))
    return taken


def _json(shares: Iterable[Share]) -> str:
    return json.dumps([share.__dict__ for share in shares], default=str)


def carry(session: Session, subscription_id: uuid.UUID, lines: Iterable[Line]) -> None:
    """Puts lines on the next invoice of a subscription."""
    for line in lines:
        session.add(
            BillingItem(
                subscription_id=subscription_id,
                source_key=line.source_key,
                line=billing_domain.line_to_json(line),
            )
        )
    session.flush()
