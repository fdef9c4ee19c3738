"""What is kept of topics: hours for two weeks, then days; and states of topics that fell silent go.

`session` is the caller's transaction; nothing here commits. Each call does a little and may be the last.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.pipelines.trends.rounds import MEMORY_H

_OLDEST = text("SELECT min(hour) FROM topic_hours WHERE hour < :before")
_FOLD = text("""
    WITH gone AS (DELETE FROM topic_hours WHERE hour = :hour RETURNING topic_id, frame_id, posts, value, strength)
    INSERT INTO topic_days AS d (topic_id, platform, day, posts, value, strength)
    SELECT g.topic_id, f.platform, :day, sum(g.posts), sum(g.value), max(g.strength)
    FROM gone g JOIN topic_frames f ON f.id = g.frame_id GROUP BY g.topic_id, f.platform ORDER BY 1, 2
    ON CONFLICT (topic_id, platform, day) DO UPDATE SET posts = d.posts + excluded.posts,
        value = d.value + excluded.value, strength = greatest(d.strength, excluded.strength)
""")
_FORGET_HOURS = text("DELETE FROM frame_hours WHERE hour < :before")
_FORGET_STATES = text("""
    DELETE FROM detector_states d USING topic_frames f
    WHERE f.id = d.frame_id AND d.hour < f.scored_until - cast(:memory AS interval)
""")


def kept_from(now: datetime) -> datetime:
    """The midnight from which on hours are kept."""
    return (now.astimezone(UTC) - timedelta(hours=MEMORY_H)).replace(hour=0, minute=0, second=0, microsecond=0)


def fold(session: Session, before: datetime) -> bool:
    """Adds the oldest hour before this moment to its days; False where there is none left."""
    hour = session.execute(_OLDEST, {"before": before}).scalar_one()
    if hour is None:
        return False
    session.execute(_FOLD, {"hour": hour, "day": hour.astimezone(UTC).date()})
    return True


def forget(session: Session, before: datetime) -> int:
    """Deletes what the detector would not look at any more: topics that a frame has not seen for its whole memory.

    Returns how many.
    """
    session.execute(_FORGET_HOURS, {"before": before})
    memory = {"memory": timedelta(hours=MEMORY_H)}
    return session.connection().execute(_FORGET_STATES, memory).rowcount
