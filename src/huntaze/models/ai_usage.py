"""What calls of models took, what the months have cost, and what they may cost. The rules are in `ai_ledger.py`."""

import uuid
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base


class UsageLog(Base):
    """One call, or one answer that came without a call. Money is micro-USD.

    It is there before the call, as a reservation of the most that the call can cost; `settled_at` ends that. A caller
    that dies leaves it open, and once `lease_until` is over it is settled at the bound, as the call may have been paid.
    """

    __tablename__ = "usage_logs"
    __table_args__ = (
        CheckConstraint("bound_micro_usd >= 0 AND cost_micro_usd >= 0", name="money_not_negative"),
        CheckConstraint("num_nonnulls(settled_at, cost_micro_usd, outcome) IN (0, 3)", name="settled_whole"),
        CheckConstraint("settled_at IS NOT NULL OR lease_until IS NOT NULL", name="open_has_lease"),
        Index("ix_usage_logs_open", "lease_until", postgresql_where="settled_at IS NULL"),
        Index("ix_usage_logs_waiting", "month", postgresql_where="outcome = 'budget' AND job_id IS NOT NULL"),
        Index(None, "creator_id", "month", postgresql_where="creator_id IS NOT NULL"),
        Index(None, "created_at"),
    )

    request_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)  # each retry, repair and fallback has its own
    month: Mapped[date]  # UTC, its first day: whose budget is charged, whenever the answer comes
    role: Mapped[str] = mapped_column(String(32))
    deployment: Mapped[str] = mapped_column(String(128))
    creator_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    job_id: Mapped[uuid.UUID | None]  # no foreign key, jobs are retired by age
    bound_micro_usd: Mapped[int] = mapped_column(BigInteger)  # the most that the call can cost: what was reserved
    cost_micro_usd: Mapped[int | None] = mapped_column(BigInteger)  # what was charged
    input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # reasoning included
    cached_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # of the input, by the vendor
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    latency_ms: Mapped[int | None] = mapped_column(BigInteger)
    # How it ended, in the gateway's words; `lost`: nobody came back to tell.
    outcome: Mapped[str | None] = mapped_column(String(32))
    cache_hit: Mapped[bool] = mapped_column(server_default=false())
    sandbox: Mapped[bool] = mapped_column(server_default=false())
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    settled_at: Mapped[datetime | None]


class AiSpend(Base):
    """A month's sums of one scope (`total`, `role:<name>`, `creator:<id>`). Every call takes its turn at the row of
    `total`; whoever changes several rows locks them in the order of their scopes."""

    __tablename__ = "ai_spend"
    __table_args__ = (
        CheckConstraint("reserved_micro_usd >= 0 AND settled_micro_usd >= 0", name="money_not_negative"),
        # Room in each page for the next versions of its rows: an update then touches no index.
        {"postgresql_with": {"fillfactor": 20}},
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    reserved_micro_usd: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # calls that are under way
    settled_micro_usd: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # calls that are over


class AiLimit(Base):
    """The most that a scope may cost in a month. A scope without a row has no limit, but for `total`, which then has
    the default (pipelines/ai/budget.py)."""

    __tablename__ = "ai_limits"
    __table_args__ = (CheckConstraint("limit_micro_usd >= 0", name="money_not_negative"),)

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit_micro_usd: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AiWarning(Base):
    """So much of a limit was spent. Its key is what makes it told once."""

    __tablename__ = "ai_warnings"

    month: Mapped[date] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    percent: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    limit_micro_usd: Mapped[int] = mapped_column(BigInteger)
    settled_micro_usd: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
