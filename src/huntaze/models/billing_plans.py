"""What is sold: plans, their prices, taxes and coupons. A version that was ever subscribed to is never changed."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Numeric, SmallInteger, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Plan(Base):
    """One version of what can be subscribed to. Another price, rule or currency is another version."""

    __tablename__ = "plans"
    __table_args__ = (
        UniqueConstraint("code", "version"),
        CheckConstraint("interval_count > 0", name="interval_positive"),
        CheckConstraint("trial_days >= 0", name="trial_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_of_iso_4217"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(default=1)
    name: Mapped[str] = mapped_column(String(255))
    currency: Mapped[str] = mapped_column(String(3))
    interval: Mapped[str] = mapped_column(String(8))  # day, week, month, year
    interval_count: Mapped[int] = mapped_column(SmallInteger, default=1)
    trial_days: Mapped[int] = mapped_column(SmallInteger, default=0)
    proration: Mapped[dict[str, Any]] = mapped_column(default=dict)  # fields of pipelines.billing.proration.Proration
    discount_rounding: Mapped[str] = mapped_column(String(8), default="total")
    dunning: Mapped[dict[str, Any]] = mapped_column(default=dict)  # fields of pipelines.billing.retries.Dunning
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    retired_at: Mapped[datetime | None]  # no new subscriptions from here on; those that are there stay


class PlanPrice(Base):
    """One line of a plan: a fee, or what a meter's units cost."""

    __tablename__ = "plan_prices"
    __table_args__ = (UniqueConstraint("plan_id", "code"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("plans.id"))
    code: Mapped[str] = mapped_column(String(64))  # names the line in source keys
    position: Mapped[int] = mapped_column(SmallInteger, default=0)
    description: Mapped[str] = mapped_column(String(255))
    terms: Mapped[dict[str, Any]]  # as pipelines/billing/terms.py writes them
    meter: Mapped[str | None] = mapped_column(String(64))  # whose usage is the quantity; None: the subscription's own
    in_arrears: Mapped[bool] = mapped_column(default=False)
    taxable: Mapped[bool] = mapped_column(default=True)


class TaxRate(Base):
    """A tax as it stood when it was written. Another rate is another row."""

    __tablename__ = "tax_rates"
    __table_args__ = (CheckConstraint("percent BETWEEN 0 AND 100", name="percent_known"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64))
    percent: Mapped[Decimal] = mapped_column(Numeric(9, 6))
    inclusive: Mapped[bool] = mapped_column(default=False)  # the prices hold it already
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Coupon(Base):
    """A discount: a percentage or an amount, off each of so many invoices."""

    __tablename__ = "coupons"
    __table_args__ = (
        CheckConstraint("num_nonnulls(percent, amount_minor) = 1", name="percent_or_amount"),
        CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount_has_currency"),
        CheckConstraint("percent > 0 AND percent <= 100", name="percent_known"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("periods > 0", name="periods_positive"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    percent: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(String(3))
    prices: Mapped[list[str]] = mapped_column(ARRAY(String(64)), default=list)  # codes that it is for; empty: all
    periods: Mapped[int | None]  # how many invoices it is taken off; None: all
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
