"""Batches: jobs that were asked for together, and what follows once all of them have ended."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Batch(Base):
    """Open until no job of it is live; what it came to is counted once, then.

    The counts are of the last job of each chain: a video counts as what became of its analysis, not of the job
    that took out its frames as well.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (succeeded + failed + cancelled IS NULL)", name="ended_has_counts"),
        CheckConstraint("succeeded + failed + cancelled <= total", name="counts_within_total"),
        CheckConstraint(
            "num_nonnulls(follow_on_kind, follow_on_version, follow_on_args) IN (0, 3)", name="follow_on_whole"
        ),
        # All that the dispatcher's sweep reads where nothing is open.
        Index("ix_batches_open", "id", postgresql_where="ended_at IS NULL"),
        Index("ix_batches_ended", "ended_at", postgresql_where="ended_at IS NOT NULL"),
        Index(None, "creator_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str | None] = mapped_column(String(255))  # as the creator called it
    total: Mapped[int]  # jobs asked for; more at the end if their chains branched
    follow_on_kind: Mapped[str | None] = mapped_column(String(64))  # the job that is enqueued at the end
    follow_on_version: Mapped[int | None] = mapped_column(SmallInteger)
    follow_on_args: Mapped[dict[str, Any] | None]  # without `counts`, which are not known before
    follow_on_id: Mapped[uuid.UUID | None]  # the job that it became; no foreign key, jobs are retired by age
    dedupe_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64))  # of the request that brought dedupe_key
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]  # when it was seen that all had ended
    succeeded: Mapped[int | None]
    failed: Mapped[int | None]
    cancelled: Mapped[int | None]
