"""Who has subscribed to what, from which period on it is to be billed, and what changed on the way."""

import enum
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, Text, false, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class SubscriptionStatus(enum.StrEnum):
    """Whether periods fall due. A trial is an active subscription whose first period has not begun."""

    ACTIVE = "active"  # billed at `next_billing_at`
    PAUSED = "paused"  # nothing falls due until it is resumed; what was billed stays billed
    CANCELLED = "cancelled"  # ended; the last usage is billed, nothing follows


class Subscription(Base):
    """The anchor stays until the interval changes; `next_billing_at` is where the first period begins that has no
    invoice.

    A subscription with a `held_code` is not billed until a person has looked: `billing_store.release`.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint(f"status IN ({', '.join(repr(s.value) for s in SubscriptionStatus)})", name="status_known"),
        CheckConstraint("(status = 'active') = (next_billing_at IS NOT NULL)", name="active_falls_due"),
        CheckConstraint("(status = 'cancelled') = (ended_at IS NOT NULL)", name="cancelled_has_end"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
        Index(None, "creator_id", "id"),
        # Whose customer of the gateway it is: looked up before a creator names one.
        Index("ix_subscriptions_customer", "customer", postgresql_where="customer IS NOT NULL"),
        # All that a run reads where nothing is due.
        Index(
            "ix_subscriptions_due", "next_billing_at", "id", postgresql_where="status = 'active' AND held_code IS NULL"
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("plans.id"))  # by which the next period is billed
    quantity: Mapped[int] = mapped_column(default=1)
    billed_plan_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("plans.id"))  # of the period that runs
    billed_quantity: Mapped[int | None]
    billed_anchor: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(16), default=SubscriptionStatus.ACTIVE)
    anchor: Mapped[datetime]  # every boundary is derived from it, in the wall clock of time_zone
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    started_at: Mapped[datetime]
    trial_end: Mapped[datetime | None]
    period_start: Mapped[datetime | None]  # of the last period that was billed; None before the first
    period_end: Mapped[datetime | None]
    next_billing_at: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]  # no period begins at or after it
    ended_at: Mapped[datetime | None]
    tax_rate_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tax_rates.id"))
    coupon_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("coupons.id"))
    coupon_left: Mapped[int | None]  # invoices that the coupon is still taken off; None: all
    customer: Mapped[str | None] = mapped_column(String(255))  # as the payment gateway knows them
    method: Mapped[str | None] = mapped_column(String(255))  # the gateway's token of a card; never a card
    held_code: Mapped[str | None] = mapped_column(String(64))
    held_message: Mapped[str | None] = mapped_column(Text)
    released_until: Mapped[datetime | None]  # periods that begin up to here may be billed, however many they are
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class SubscriptionChange(Base):
    """What was done to a subscription, and when it counts from: its history, for people and for the audit."""

    __tablename__ = "subscription_changes"
    __table_args__ = (Index(None, "subscription_id", "at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("subscriptions.id"))
    kind: Mapped[str] = mapped_column(String(16))  # start, change, pause, resume, cancel, end, hold, release
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class BillingItem(Base):
    """A line that goes on the next invoice: what a change in the middle of a period gives back."""

    __tablename__ = "billing_items"
    __table_args__ = (Index("ix_billing_items_open", "subscription_id", postgresql_where="invoice_id IS NULL"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("subscriptions.id"))
    source_key: Mapped[str] = mapped_column(String(255), unique=True)
    line: Mapped[dict[str, Any]]  # a pipelines.billing.invoice.Line
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    invoice_id: Mapped[uuid.UUID | None]  # on which it stands; no foreign key: marked before the invoice is written


class UsageRecord(Base):
    """Metered units, each counted once by its `source_key`. What comes late is billed with the next invoice."""

    __tablename__ = "usage_records"
    __table_args__ = (
        Index("ix_usage_records_open", "subscription_id", "occurred_at", postgresql_where="invoice_id IS NULL"),
        Index("ix_usage_records_invoice", "invoice_id", postgresql_where="invoice_id IS NOT NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("subscriptions.id"))
    meter: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[Decimal] = mapped_column(Numeric(20, 6))
    source_key: Mapped[str] = mapped_column(String(255), unique=True)
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    invoice_id: Mapped[uuid.UUID | None]  # as in billing_items
    # It is settled by that invoice but stands on no line: the plan that it was billed by had no price for its meter.
    unpriced: Mapped[bool] = mapped_column(server_default=false())
