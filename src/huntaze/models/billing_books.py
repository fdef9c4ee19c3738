"""Writing into the books: numbers without gaps, transactions that balance, credit balances.

`session` is the caller's transaction; nothing here commits.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.models.billing_ledger import Account, CreditGrant

INVOICES, CREDIT_NOTES = "INV", "CN"  # the series of numbers

_NUMBERS = text("""
    INSERT INTO invoice_counters AS counter (series, last) VALUES (:series, :count)
    ON CONFLICT (series) DO UPDATE SET last = counter.last + :count
    RETURNING last
""")


def take_numbers(session: Session, series: str, count: int) -> range:
    """The next numbers of a series, locked until the transaction ends: to be taken after all other locks.

    A rollback gives them back, so that there is no gap; whoever else wants one waits for this transaction.
    """
    last: int = session.execute(_NUMBERS, {"series": series, "count": count}).scalar_one()
    return range(last - count + 1, last + 1)


@dataclass(frozen=True)
class Transaction:
    """What one document means for the accounts. `id`: the document's. Debits are positive, and all sum to nought."""

    id: uuid.UUID
    kind: str
    creator_id: uuid.UUID
    currency: str
    occurred_at: datetime
    amounts: Mapping[Account, int]
    invoice_id: uuid.UUID | None = None


_POST = text("""
    INSERT INTO ledger_entries (
        transaction_id, kind, creator_id, invoice_id, account, currency, amount_minor, occurred_at
    )
    SELECT transaction_id, kind, creator_id, invoice_id, account, currency, amount_minor, occurred_at
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        transaction_id uuid, kind text, creator_id uuid, invoice_id uuid, account text, currency text,
        amount_minor bigint, occurred_at timestamptz
    )
""")


def post(session: Session, transactions: Sequence[Transaction]) -> None:
    """Books transactions by one statement. The database refuses what does not balance, and a document it has booked."""
    rows = [
        {
            "transaction_id": one.id,
            "kind": one.kind,
            "creator_id": one.creator_id,
            "invoice_id": one.invoice_id,
            "account": account,
            "currency": one.currency,
            "amount_minor": amount,
            "occurred_at": one.occurred_at,
        }
        for one in transactions
        for account, amount in one.amounts.items()
        if amount
    ]
    if rows:
        session.execute(_POST, {"rows": json.dumps(rows, default=str)})


Holder = tuple[uuid.UUID, str]  # a creator and a currency

# In the same order by all, against deadlocks.
_LOCK = text("""
    SELECT held.creator_id, held.currency, held.balance_minor FROM credit_balances AS held
    JOIN jsonb_to_recordset(cast(:holders AS jsonb)) AS given (creator_id uuid, currency text)
        ON held.creator_id = given.creator_id AND held.currency = given.currency
    ORDER BY held.creator_id, held.currency FOR UPDATE OF held
""")


def lock_credit(session: Session, holders: Collection[Holder]) -> dict[Holder, int]:
    """What is left of these credits, in minor units; nobody else spends it before the end of the transaction."""
    given = [{"creator_id": creator_id, "currency": currency} for creator_id, currency in holders]
    found = session.execute(_LOCK, {"holders": json.dumps(given, default=str)})
    return {(row.creator_id, row.currency): row.balance_minor for row in found}


_MOVE = text("""
    INSERT INTO credit_balances AS held (creator_id, currency, balance_minor)
    SELECT creator_id, currency, change FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        creator_id uuid, currency text, change bigint
    )
    ORDER BY creator_id, currency
    ON CONFLICT (creator_id, currency) DO UPDATE SET balance_minor = held.balance_minor + excluded.balance_minor
""")
_SPEND = text("""
    UPDATE credit_balances AS held SET balance_minor = held.balance_minor + change
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (creator_id uuid, currency text, change bigint)
    WHERE held.creator_id = given.creator_id AND held.currency = given.currency
""")


def move_credit(session: Session, changes: Mapping[Holder, int]) -> None:
    """Adds to credit balances, or takes from those that were locked. They do not go below nought."""
    for statement, sign in ((_SPEND, -1), (_MOVE, 1)):
        rows = [
            {"creator_id": creator_id, "currency": currency, "change": change}
            for (creator_id, currency), change in changes.items()
            if change * sign > 0
        ]
        if rows:
            session.execute(statement, {"rows": json.dumps(rows, default=str)})


_GRANT = text("""
    INSERT INTO credit_grants (id, creator_id, currency, amount_minor, reason, source_key, granted_at)
    VALUES (:id, :creator_id, :currency, :amount_minor, :reason, :source_key, :granted_at)
    ON CONFLICT (source_key) DO NOTHING RETURNING id
""")


def grant_credit(
    session: Session,
    creator_id: uuid.UUID,
    currency: str,
    amount_minor: int,
    *,
    reason: str,
    source_key: str,
    at: datetime,
) -> bool:
    """Gives a creator credit that the next invoices use up; False if this `source_key` was given before."""
    grant = CreditGrant(
        id=new_id(),
        creator_id=creator_id,
        currency=currency,
        amount_minor=amount_minor,
        reason=reason,
        source_key=source_key,
        granted_at=at,
    )
    values = {column.name: getattr(grant, column.name) for column in CreditGrant.__table__.columns}
    if session.execute(_GRANT, values).one_or_none() is None:
        return False
    amounts = {Account.WRITE_OFF: amount_minor, Account.CREDIT: -amount_minor}
    post(session, [Transaction(grant.id, "grant", creator_id, currency, at, amounts)])
    move_credit(session, {(creator_id, currency): amount_minor})
    return True
