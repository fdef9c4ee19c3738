"""Weekly reports of trends: what was asked for, what they say, and the files that were made."""

import enum
import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id
from huntaze.models.reports import ReportState


class TrendCadence(enum.StrEnum):
    """Why there is a report."""

    WEEK = "week"  # by schedule, Monday to Sunday
    ASKED = "asked"  # somebody wanted the last seven days


class TrendReport(Base):
    """Seven days of UTC, as one creator may see trends. It holds names of topics and figures, nothing that anybody has
    posted: a forgotten author is not in it."""

    __tablename__ = "trend_reports"
    __table_args__ = (
        CheckConstraint("cadence IN ('week', 'asked')", name="cadence_known"),
        CheckConstraint("state IN ('making', 'ready', 'failed')", name="state_known"),
        CheckConstraint("(state = 'ready') = (ready_at IS NOT NULL)", name="ready_has_time"),
        CheckConstraint("(state = 'ready') = (words IS NOT NULL)", name="ready_has_words"),
        CheckConstraint("first <= last", name="days_in_order"),
        Index(None, "creator_id", "id"),
        Index("uq_trend_reports_week", "creator_id", "first", unique=True, postgresql_where="cadence = 'week'"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    cadence: Mapped[str] = mapped_column(String(8))
    first: Mapped[date] = mapped_column(Date)
    last: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(8), default=ReportState.MAKING)
    job_id: Mapped[uuid.UUID | None]  # no foreign key, jobs are retired by age
    words: Mapped[dict[str, Any] | None]  # {paragraphs, source: model, sandbox or template}
    files: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # [{format, object_key, type, size}]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ready_at: Mapped[datetime | None]
