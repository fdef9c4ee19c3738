"""Reports of a creator's figures: what was asked for, and the files that were made."""

import enum
import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Cadence(enum.StrEnum):
    """Why there is a report."""

    WEEK = "week"  # by schedule, Monday to Sunday
    MONTH = "month"  # by schedule, a calendar month
    ASKED = "asked"  # somebody wanted one, of any days


class ReportState(enum.StrEnum):
    """Where a report is."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


class Report(Base):
    """A report, of whole days of the creator's zone. It holds sums, and names no person."""

    __tablename__ = "reports"
    __table_args__ = (
        CheckConstraint("cadence IN ('week', 'month', 'asked')", name="cadence_known"),
        CheckConstraint("state IN ('making', 'ready', 'failed')", name="state_known"),
        CheckConstraint("(state = 'ready') = (ready_at IS NOT NULL)", name="ready_has_time"),
        CheckConstraint("first <= last", name="days_in_order"),
        Index(None, "creator_id", "id"),
        Index(
            "uq_reports_scheduled",
            *("creator_id", "cadence", "first"),
            unique=True,
            postgresql_where="cadence <> 'asked'",
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    cadence: Mapped[str] = mapped_column(String(8))
    first: Mapped[date] = mapped_column(Date)
    last: Mapped[date] = mapped_column(Date)
    zone: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8), default=ReportState.MAKING)
    job_id: Mapped[uuid.UUID | None]  # no foreign key, jobs are retired by age
    files: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # [{format, object_key, type, size}]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ready_at: Mapped[datetime | None]
