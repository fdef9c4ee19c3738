"""All SQL of insights. `session` is the caller's transaction; nothing here commits."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models.insights import InsightSet
from huntaze.models.job_args import AiInsights
from huntaze.models.job_enqueue import NewJob, enqueue_many

KEPT_DAYS = 90

# Creators of whom there may be any figure; each look is one into an index.
_ACTIVE = text("""
    SELECT id FROM users WHERE id > :after AND (
        EXISTS (SELECT FROM content_tasks WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM usage_logs WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM offers WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM invoices WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM analytics_periods WHERE creator_id = users.id)
    ) ORDER BY id LIMIT :limit
""")
_PRUNE = text("""
    DELETE FROM ai_insights WHERE creator_id = :creator_id AND id <> :newest
      AND created_at < clock_timestamp() - make_interval(days => :days)
""")
_NOBODY = uuid.UUID(int=0)


def enqueue_for(session: Session, slot: datetime, after: uuid.UUID | None, limit: int) -> tuple[int, uuid.UUID | None]:
    """A job for each of the next creators behind `after`; one that has a job waiting gets no second. Returns how many
    were made, and behind whom to go on; None: that was all."""
    ids = session.scalars(_ACTIVE, {"after": after or _NOBODY, "limit": limit}).all()
    # Behind what somebody waits for.
    made = enqueue_many(session, [NewJob(AiInsights(slot=slot), creator_id=one, priority=10) for one in ids])
    return sum(one.created for one in made), ids[-1] if len(ids) == limit else None


def newest(session: Session, creator_id: uuid.UUID) -> InsightSet | None:
    """What the creator was told last."""
    query = select(InsightSet).where(InsightSet.creator_id == creator_id).order_by(InsightSet.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def find(session: Session, creator_id: uuid.UUID, figures_key: str) -> InsightSet | None:
    """What this creator was told when the figures were the same. Another creator's answers are never looked at."""
    query = select(InsightSet).where(InsightSet.creator_id == creator_id, InsightSet.figures_key == figures_key)
    return session.scalars(query.order_by(InsightSet.id.desc()).limit(1)).one_or_none()


def save(session: Session, values: dict[str, Any]) -> InsightSet:
    """Keeps a set (`values`: columns), and lets go of the creator's old ones."""
    made = InsightSet(**values)
    session.add(made)
    session.flush()
    session.execute(_PRUNE, {"creator_id": made.creator_id, "newest": made.id, "days": KEPT_DAYS})
    return made


def list_sets(
    session: Session, creator_id: uuid.UUID, *, before: uuid.UUID | None = None, limit: int = 10
) -> Sequence[InsightSet]:
    """The creator's own, newest first, below the cursor `before`."""
    query = select(InsightSet).where(InsightSet.creator_id == creator_id).order_by(InsightSet.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(InsightSet.id < before)).all()
