"""What posts are about, hour by hour; what the detector remembers of it; and the trends that came of it.
SQL: `trend_store.py`, `trend_lives.py`, `trend_history.py`."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import REAL, CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id
from huntaze.pipelines.trends.life import TrendState
from huntaze.pipelines.trends.topics import LONGEST, TopicKind


class TrendTopic(Base):
    """A hashtag, a phrase or a sound, in its canonical form."""

    __tablename__ = "topics"
    __table_args__ = (
        CheckConstraint(f"kind IN ({', '.join(repr(k.value) for k in TopicKind)})", name="kind_known"),
        UniqueConstraint("kind", "name"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(LONGEST))
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class TopicFrame(Base):
    """One source under one cap: what shares are compared within, and with nothing else."""

    __tablename__ = "topic_frames"
    __table_args__ = (UniqueConstraint("source_id", "max_items"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    source_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trend_sources.id", ondelete="CASCADE"))
    max_items: Mapped[int]
    platform: Mapped[str] = mapped_column(String(16))
    region: Mapped[str | None] = mapped_column(String(8))
    scored_until: Mapped[datetime]  # the end of the last hour that was scored: whoever stores a round moves it
    seen: Mapped[int] = mapped_column(default=0)  # hours ever whose sample said something
    typical: Mapped[float] = mapped_column(default=0.0)  # posts of an hour's sample


class FrameHour(Base):
    """An hour whose sample says something; one that is not here is unknown, which is not zero."""

    __tablename__ = "frame_hours"
    __table_args__ = (Index(None, "hour"),)

    frame_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topic_frames.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    posts: Mapped[int]  # of the sample


class TopicHour(Base):
    """Posts of a topic in an hour of a frame. An hour that is known and not here had none. Kept for two weeks.

    No foreign keys: they would be looked up for every row, of which a round writes as many as there are topics.
    """

    __tablename__ = "topic_hours"
    __table_args__ = (Index(None, "hour"),)

    topic_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    frame_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    posts: Mapped[int]
    authors: Mapped[int]  # distinct
    value: Mapped[float] = mapped_column(REAL)  # posts, in a sample of the frame's typical size
    strength: Mapped[float] = mapped_column(REAL)  # 1.0 is the detector's threshold


class TopicDay(Base):
    """What is left of hours after two weeks."""

    __tablename__ = "topic_days"

    topic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True)
    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)  # UTC
    posts: Mapped[int]
    value: Mapped[float] = mapped_column(REAL)
    strength: Mapped[float] = mapped_column(REAL)  # of its strongest hour


class DetectorState(Base):
    """What the detector remembers of a topic in a frame (pipelines/trends/detector.py: pack).

    No index but the key: rows are written again each hour, in place.
    """

    __tablename__ = "detector_states"

    frame_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topic_frames.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[datetime]  # the last it has seen: the frame's later ones were silent
    state: Mapped[bytes]


class Trend(Base):
    """A topic that rose, from its alarm to its end. A topic has one trend at a time."""

    __tablename__ = "trends"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(s.value) for s in TrendState)})", name="state_known"),
        CheckConstraint("(state = 'over') = (ended_at IS NOT NULL)", name="over_has_end"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_fraction"),
        Index("uq_trends_open", "topic_id", unique=True, postgresql_where="state <> 'over'"),
        Index(None, "started_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    topic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16), default=TrendState.EMERGING)
    platforms: Mapped[list[str]] = mapped_column(ARRAY(Text))  # where an alarm was given
    regions: Mapped[list[str]] = mapped_column(ARRAY(Text))  # of the sources that did; those of no region add none
    started_at: Mapped[datetime]  # the hour of the alarm
    peak_at: Mapped[datetime]  # the hour of the highest level so far
    ended_at: Mapped[datetime | None]
    strength: Mapped[float]  # of the strongest alarm; 1.0 is the threshold
    level: Mapped[float] = mapped_column(default=0.0)  # posts an hour, over the last six
    peak_level: Mapped[float] = mapped_column(default=0.0)
    velocity: Mapped[float] = mapped_column(default=0.0)  # change of the level, posts an hour each hour
    lead_h: Mapped[int | None]  # hours the alarm was ahead of the peak; None while it may still be ahead
    confidence: Mapped[float]  # 0..1
    posts: Mapped[int]  # of the hours that led to the strongest alarm
    authors: Mapped[int]
    related: Mapped[list[dict[str, Any]]] = mapped_column(default=list)  # [{kind, name, share}], share of its posts
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class TrendEvidence(Base):
    """The posts that show a trend best. No foreign key: whoever deletes posts need not know of trends; readers join."""

    __tablename__ = "trend_evidence"

    trend_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trends.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(SmallInteger, default=0)  # 1 is the most looked at
