"""Which trends creators were shown, why, with what chance, and what they made of it. SQL: `recommendation_store.py`."""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Feedback(enum.StrEnum):
    """What a creator said. The last word counts."""

    USED = "used"  # taken up: more like it
    DISMISSED = "dismissed"  # less like it


class Recommendation(Base):
    """A trend in a creator's set. Of a creator, one set is current; earlier rows are kept for what was said to them."""

    __tablename__ = "recommendations"
    __table_args__ = (
        CheckConstraint("feedback IN ('used', 'dismissed')", name="feedback_known"),
        CheckConstraint("(feedback IS NULL) = (answered_at IS NULL)", name="answered_has_time"),
        CheckConstraint("propensity > 0 AND propensity <= 1", name="propensity_chance"),
        Index("uq_recommendations_current", "creator_id", "trend_id", unique=True, postgresql_where="current"),
        Index("ix_recommendations_answered", "creator_id", "answered_at", postgresql_where="feedback IS NOT NULL"),
        Index(None, "creator_id", "created_at"),
        Index(None, "trend_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    trend_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trends.id", ondelete="CASCADE"))
    slot: Mapped[datetime]  # of the job that made the set
    current: Mapped[bool] = mapped_column(default=True)
    place: Mapped[int] = mapped_column(SmallInteger)  # 1 is the first
    relevance: Mapped[float]  # 0..1, as are the next two; their product is the worth
    strength: Mapped[float]
    freshness: Mapped[float]
    explored: Mapped[bool]  # shown by chance, to learn
    propensity: Mapped[float]  # the chance that it had to be in the set
    about: Mapped[dict[str, Any]]  # {name, label, tags: {tag: share}, phrases}: nothing that anybody has posted
    why: Mapped[dict[str, Any]]  # figures at that time: {terms, posts, authors, platforms, state, velocity, ...}
    idea: Mapped[dict[str, Any]]  # {text, source: model, sandbox or template}
    feedback: Mapped[str | None] = mapped_column(String(16))
    answered_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
