"""The double-entry ledger: append-only, and balanced by the database itself.

Two triggers hold it (migration 0009): one refuses UPDATE and DELETE, the other an INSERT whose entries do not sum to
nought for each transaction and currency. So a transaction is written by one statement, and stays balanced.
"""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Account(enum.StrEnum):
    """Where money is, seen from us. A debit is positive, a credit negative."""

    RECEIVABLE = "receivable"  # asset: what creators owe
    CASH = "cash"  # asset: what the gateway took for us
    REVENUE = "revenue"  # income, so negative
    TAX = "tax"  # liability: owed to the state, so negative
    CREDIT = "credit"  # liability: creators' credit balances, so negative
    WRITE_OFF = "write_off"  # expense: given up, or given away
    DISPUTE = "dispute"  # expense: taken back by customers' banks, with the fees of that


class LedgerEntry(Base):
    """One side of a transaction. `transaction_id` is the id of the document that it books, so none is booked twice."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        UniqueConstraint("transaction_id", "account"),
        CheckConstraint(f"account IN ({', '.join(repr(a.value) for a in Account)})", name="account_known"),
        CheckConstraint("amount_minor <> 0", name="amount_not_nought"),
        Index(None, "creator_id", "id"),
        Index(None, "invoice_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    transaction_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(String(16))  # invoice, payment, credit_note, grant, write_off, dispute, ...
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    invoice_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("invoices.id"))
    account: Mapped[str] = mapped_column(String(16))
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime]  # the document's own time
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class CreditBalance(Base):
    """What the ledger's account `credit` says of one creator, kept so that a run can lock and spend it."""

    __tablename__ = "credit_balances"
    __table_args__ = (CheckConstraint("balance_minor >= 0", name="balance_not_negative"),)

    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    balance_minor: Mapped[int] = mapped_column(BigInteger)


class CreditGrant(Base):
    """Credit that was given to a creator: goodwill, or money paid in advance."""

    __tablename__ = "credit_grants"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount_positive"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(255))
    source_key: Mapped[str] = mapped_column(String(255), unique=True)  # the request behind it: asked twice, given once
    granted_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class BillingAudit(Base):
    """What a nightly audit found."""

    __tablename__ = "billing_audits"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    slot: Mapped[datetime] = mapped_column(unique=True)
    invoices: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(BigInteger)
    differences: Mapped[list[dict[str, Any]]]  # [{check, subject, expected, found}]; empty: all adds up
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
