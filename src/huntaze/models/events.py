"""The outbox: what happened, written in the same transaction as what it tells."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Event(Base):
    """A fact for the creator's streams.

    `position` is the place in the stream. It is given after the commit, by one writer at a time: ids and sequences
    are taken before their transaction commits, so a reader that follows them skips what commits late.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "creator_id", "position"),
        Index("ix_events_unplaced", "created_at", "id", postgresql_where="position IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(64))  # noun.verb: video.analyzed, job.failed
    subject_id: Mapped[uuid.UUID]  # the aggregate it tells of: a job, a video
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class EventPosition(Base):
    """One row: the last position given in the stream of events. Its lock makes the giver the only writer."""

    __tablename__ = "event_position"
    __table_args__ = (CheckConstraint("singleton", name="one_row"),)

    singleton: Mapped[bool] = mapped_column(primary_key=True, default=True)
    position: Mapped[int] = mapped_column(BigInteger)
    pruned: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # the last that retention has taken
