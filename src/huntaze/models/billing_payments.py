"""Attempts to get money, the money that came and went back, and what the gateway told us about it."""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id
from huntaze.pipelines.payments.outcomes import DisputeState


class AttemptState(enum.StrEnum):
    """What is known of a charge. Only `succeeded` is final: a gateway may bring money after any other."""

    STARTED = "started"  # written before the call; after a crash the same key is used again
    UNKNOWN = "unknown"  # the call had no answer: it may have charged. The same key is used again
    REQUIRES_ACTION = "requires_action"  # the customer has to confirm; a webhook tells what came of it
    DECLINED = "declined"  # no money moved; the next attempt has a key of its own
    SUCCEEDED = "succeeded"  # there is a payment


class PaymentAttempt(Base):
    """One charge of one invoice: committed before the gateway is called, so that no charge is without a row."""

    __tablename__ = "payment_attempts"
    __table_args__ = (
        UniqueConstraint("invoice_id", "number"),
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in AttemptState)})", name="state_known"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        Index(
            "uq_payment_attempts_in_flight",
            "invoice_id",
            unique=True,
            postgresql_where="state IN ('started', 'unknown', 'requires_action')",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"))
    number: Mapped[int] = mapped_column(SmallInteger)  # 1, 2, ... of the invoice
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    gateway: Mapped[str] = mapped_column(String(16))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    customer: Mapped[str | None] = mapped_column(String(255))
    method: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), default=AttemptState.STARTED)
    code: Mapped[str | None] = mapped_column(String(64))  # of a decline, as the gateway calls it
    retryable: Mapped[bool | None]  # of a decline: whether the same method may be asked again
    reference: Mapped[str | None] = mapped_column(String(255))  # the gateway's id of the charge
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]


class Payment(Base):
    """Money that came in. One an attempt at most, however often the gateway tells of it."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor", name="refund_within"),
        Index(None, "creator_id", "id"),
        Index(None, "reference"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payment_attempts.id"), unique=True)
    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"), index=True)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    to_credit_minor: Mapped[int] = mapped_column(BigInteger, default=0)  # beyond what was owed: to the creator's credit
    refunded_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    reference: Mapped[str] = mapped_column(String(255))
    paid_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class RefundState(enum.StrEnum):
    """A refund is booked when it is asked for; one that fails goes to the creator's credit instead."""

    STARTED = "started"  # written and booked before the call; the same key is used until there is an answer
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    OVERTAKEN = "overtaken"  # it failed because the customer's bank had taken the money back: nothing is left to give


class Refund(Base):
    """Money that goes back, by the credit note that says why."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in RefundState)})", name="state_known"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    credit_note_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("credit_notes.id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(16), default=RefundState.STARTED)
    reference: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]


class Dispute(Base):
    """A customer's objection to a payment, at their bank. What moved stands in its movements."""

    __tablename__ = "disputes"
    __table_args__ = (
        UniqueConstraint("gateway", "external_id"),
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in DisputeState)})", name="state_known"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    gateway: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str] = mapped_column(String(255))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    reason: Mapped[str] = mapped_column(String(64))  # as the gateway calls it
    state: Mapped[str] = mapped_column(String(16))
    told_at: Mapped[datetime]  # the newest notice's own time: an older one does not change the state
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DisputeMovement(Base):
    """Money that a dispute moved: taken (negative), given back, or a fee. Booked under its id; written once."""

    __tablename__ = "dispute_movements"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount_not_nought"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    dispute_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disputes.id"), index=True)
    source_key: Mapped[str] = mapped_column(String(255), unique=True)  # the gateway and its key: booked once
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class InboxMessage(Base):
    """What a gateway sent, as it was sent, once each: stored before anything is made of it."""

    __tablename__ = "payment_inbox"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_payment_inbox_open", "id", postgresql_where="handled_at IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    source: Mapped[str] = mapped_column(String(16))
    external_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any]]
    received_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)  # what was made of it, in a few words
