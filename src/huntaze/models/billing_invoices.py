"""What was billed. These rows are written once: a trigger refuses changes, mistakes are met by credit notes."""

import enum
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class InvoiceCounter(Base):
    """The last number of a series. A sequence would leave a gap at every rollback; this row rolls back too."""

    __tablename__ = "invoice_counters"

    series: Mapped[str] = mapped_column(String(16), primary_key=True)  # INV, CN
    last: Mapped[int] = mapped_column(BigInteger)


class Invoice(Base):
    """One period of one subscription.

    total = subtotal - discount + tax (of an inclusive tax: without the tax); due = total - credit_applied. A total
    below nought is given to the creator's credit: `credit_applied_minor` is negative, and nothing is due.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("subscription_id", "period_start"),
        CheckConstraint("due_minor = total_minor - credit_applied_minor", name="due_adds_up"),
        CheckConstraint("due_minor >= 0", name="due_not_negative"),
        CheckConstraint("period_end >= period_start", name="period_forward"),
        Index(None, "creator_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)  # of the series INV, without gaps
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("subscriptions.id"))
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("plans.id"))
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]  # equal to the start on the last invoice, which bills usage alone
    currency: Mapped[str] = mapped_column(String(3))
    subtotal_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    credit_applied_minor: Mapped[int] = mapped_column(BigInteger)
    due_minor: Mapped[int] = mapped_column(BigInteger)
    issued_at: Mapped[datetime]  # the slot of the run
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    @property
    def label(self) -> str:
        """As people call it."""
        return f"INV-{self.number:06d}"


class InvoiceLine(Base):
    """One amount of an invoice, and what it is for. `source_key` is unique over all invoices: no double billing."""

    __tablename__ = "invoice_lines"
    __table_args__ = (UniqueConstraint("invoice_id", "position"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    source_key: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(String(255))
    quantity: Mapped[Decimal] = mapped_column(Numeric(20, 6))
    amount_minor: Mapped[int] = mapped_column(BigInteger)  # before discount
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)  # what it adds to the invoice's total
    detail: Mapped[dict[str, Any]]  # {price_code, meter, unit_amount, prorated, discountable, taxable, taxes}
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]


class ReceivableState(enum.StrEnum):
    """What became of the money that an invoice asks for."""

    OPEN = "open"  # owed; charged at `next_attempt_at`, if that is set
    PAID = "paid"  # nothing is left: paid, credited, or nothing was due
    UNCOLLECTED = "uncollected"  # dunning came to its end; still owed, nobody asks any more
    WRITTEN_OFF = "written_off"  # given up by a person


class Receivable(Base):
    """What is left of an invoice to be paid, and how its collection stands: the part of it that moves."""

    __tablename__ = "receivables"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in ReceivableState)})", name="state_known"),
        CheckConstraint("open_minor >= 0", name="open_not_negative"),
        CheckConstraint("(open_minor = 0) = (state IN ('paid', 'written_off'))", name="settled_is_nought"),
        CheckConstraint("next_attempt_at IS NULL OR state = 'open'", name="only_open_is_asked_for"),
        Index("ix_receivables_due", "next_attempt_at", "invoice_id", postgresql_where="next_attempt_at IS NOT NULL"),
    )

    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"), primary_key=True)
    open_minor: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    next_attempt_at: Mapped[datetime | None]
    first_failed_at: Mapped[datetime | None]  # dunning counts its days from here
    dunning_step: Mapped[int] = mapped_column(
        SmallInteger, default=0
    )  # retries of the plan's schedule that are used up
    settled_at: Mapped[datetime | None]


class CreditNote(Base):
    """Takes back a part of an invoice, which itself stays as it is."""

    __tablename__ = "credit_notes"
    __table_args__ = (
        CheckConstraint("total_minor > 0", name="total_positive"),
        CheckConstraint(
            "total_minor = to_receivable_minor + to_credit_minor + to_cash_minor", name="total_goes_somewhere"
        ),
        CheckConstraint("least(to_receivable_minor, to_credit_minor, to_cash_minor) >= 0", name="parts_not_negative"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)  # of the series CN, without gaps
    invoice_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("invoices.id"), index=True)
    reason: Mapped[str] = mapped_column(String(255))
    source_key: Mapped[str] = mapped_column(
        String(255), unique=True
    )  # the request behind it: asked twice, written once
    total_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)  # the part of the total that is tax
    to_receivable_minor: Mapped[int] = mapped_column(BigInteger)  # what was still owed
    to_credit_minor: Mapped[int] = mapped_column(BigInteger)  # to the creator's credit
    to_cash_minor: Mapped[int] = mapped_column(BigInteger)  # paid back
    issued_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
