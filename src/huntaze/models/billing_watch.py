"""What the books say is new since the last look: for whoever watches a run day by day, at the cost of the day alone."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models.billing_payments import Payment
from huntaze.pipelines.billing.periods import Period


@dataclass(frozen=True)
class Issued:
    """One invoice as it was numbered."""

    number: int
    subscription_id: uuid.UUID
    period: Period


_ISSUED = text("""
    SELECT number, subscription_id, period_start, period_end FROM invoices WHERE number > :after ORDER BY number
""")
_BOOKED = text("""
    SELECT coalesce(max(id), :after) AS last, coalesce(sum(amount_minor), 0) AS balance,
           coalesce(sum(amount_minor) FILTER (WHERE account = 'receivable'), 0) AS receivable
    FROM ledger_entries WHERE id > :after
""")
_OPEN = text("SELECT coalesce(sum(open_minor), 0) FROM receivables WHERE open_minor > 0")
_DUNNED = text("""
    SELECT id, subscription_id, kind, at FROM subscription_changes
    WHERE id > :after AND data ->> 'reason' = 'dunning' ORDER BY id
""")
_USAGE = text("""
    SELECT count(*) FROM (
        SELECT invoice_id, meter, sum(quantity) AS quantity FROM usage_records
        WHERE invoice_id IS NOT NULL AND NOT unpriced GROUP BY invoice_id, meter
    ) AS counted FULL JOIN (
        SELECT invoice_id, detail ->> 'meter' AS meter, quantity FROM invoice_lines
        WHERE source_key LIKE '%:usage:%'
    ) AS billed USING (invoice_id, meter)
    WHERE coalesce(counted.quantity, 0) <> coalesce(billed.quantity, 0)
""")


def issued_after(session: Session, number: int) -> list[Issued]:
    """Invoices above a number, by number."""
    rows = session.execute(_ISSUED, {"after": number})
    return [Issued(row.number, row.subscription_id, Period(row.period_start, row.period_end)) for row in rows]


@dataclass(frozen=True)
class Booked:
    """What was booked above an entry: the last entry's id, the sum of all, and that of what is owed, in minor units."""

    last: int
    balance: int
    receivable: int


def booked_after(session: Session, entry_id: int) -> Booked:
    """The ledger above an entry. All that is there by now has to be committed: ids of others may come in below."""
    row = session.execute(_BOOKED, {"after": entry_id}).one()
    return Booked(row.last, int(row.balance), int(row.receivable))


def open_minor(session: Session) -> int:
    """What all invoices together still ask for, whatever the currency."""
    return int(session.execute(_OPEN).scalar_one())


@dataclass(frozen=True)
class Dunned:
    """What dunning did to a subscription: pause, resume, cancel. `id` is that of the change."""

    id: uuid.UUID
    subscription_id: uuid.UUID
    kind: str
    at: datetime


def dunned_after(session: Session, change_id: uuid.UUID) -> list[Dunned]:
    """What dunning did since that change."""
    return [Dunned(*row) for row in session.execute(_DUNNED, {"after": change_id})]


def newest_payments(session: Session, limit: int) -> list[tuple[str, int, str]]:
    """(the gateway's reference, minor units, currency) of those that came last."""
    query = select(Payment.reference, Payment.amount_minor, Payment.currency).order_by(Payment.id.desc()).limit(limit)
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def usage_mismatches(session: Session) -> int:
    """Lines that say another quantity than the usage of their meter that is marked with the invoice."""
    return int(session.execute(_USAGE).scalar_one())
