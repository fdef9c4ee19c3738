"""Trends as a creator may see them: those that everybody's sources, or the creator's own, have shown.

What another creator has asked of a platform is nobody else's to know: a topic that only such a source has seen is not
there, and neither are its hours and posts. `session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from huntaze.pipelines.recommend.rank import HALF_LIFE_H as FRESH_H
from huntaze.pipelines.trends.life import HALF_LIFE_H, TrendState

BEFORE = timedelta(days=1)  # of a series, ahead of the alarm
CANDIDATES = 500  # of each kind that a set is chosen from: the best for anybody, and the best that have a tag in common
EXAMPLES = 3  # posts of a recommendation


class TrendSort(StrEnum):
    """What comes first."""

    RANK = "rank"  # strength, halved every twelve hours since the peak
    NEWEST = "newest"
    VELOCITY = "velocity"


def _faded(now: str, half_life_h: float) -> str:
    """SQL of what is left of 1 since a trend's peak. In floats: powers of numerics take a hundred times as long."""
    return f"power(float8 '0.5', greatest(0, extract(epoch FROM {now} - r.peak_at)::float8 / {3600 * half_life_h}))"


_RANK = f"r.strength * {_faded('clock_timestamp()', HALF_LIFE_H)}"
FRAMES = """
    SELECT f.id FROM topic_frames f JOIN trend_sources s ON s.id = f.source_id
    WHERE s.creator_id IS NULL OR s.creator_id = :creator_id
"""
SEEN = f"""
    EXISTS (SELECT FROM detector_states d WHERE d.topic_id = r.topic_id AND d.frame_id IN ({FRAMES}))
"""
COLUMNS = f"""
    r.id, r.topic_id, r.state, r.platforms, r.regions, r.started_at, r.peak_at, r.ended_at, r.strength, r.level,
    r.peak_level, r.velocity, r.lead_h, r.confidence, r.posts, r.authors, r.related, r.updated_at,
    k.kind, k.name, ({_RANK})::float AS rank,
    (SELECT max(p.sound_name) FROM trend_evidence e JOIN posts p ON p.id = e.post_id
     WHERE k.kind = 'sound' AND e.trend_id = r.id) AS sound_name
"""  # noqa: S608 - of our own pieces, as all below
_ORDER = {
    TrendSort.RANK: "rank DESC, r.id",
    TrendSort.NEWEST: "r.started_at DESC, r.id DESC",
    TrendSort.VELOCITY: "r.velocity DESC, r.id",
}
_SEARCH = {
    sort: text(f"""
        SELECT {COLUMNS} FROM trends r JOIN topics k ON k.id = r.topic_id
        WHERE (r.state = :state OR (cast(:state AS text) IS NULL AND r.state <> 'over'))
          AND (cast(:platform AS text) IS NULL OR :platform = ANY(r.platforms))
          AND (cast(:region AS text) IS NULL OR :region = ANY(r.regions))
          AND {SEEN} ORDER BY {order} LIMIT :limit
    """)  # noqa: S608
    for sort, order in _ORDER.items()
}
# Narrowed by figures first: names, posts and words are read of what is left. The tags of a trend are its own and those
# that are posted with it.
_CANDIDATES = text(f"""
    WITH live AS MATERIALIZED (
        SELECT r.id, r.confidence * r.strength / (r.strength + 1) * {_faded(":now", FRESH_H)} AS worth,
               k.name = ANY(:tags) OR EXISTS (
                   SELECT FROM jsonb_array_elements(r.related) AS beside WHERE beside ->> 'name' = ANY(:tags)
               ) AS alike
        FROM trends r JOIN topics k ON k.id = r.topic_id
        WHERE r.state <> 'over' AND {SEEN}
    )
    SELECT {COLUMNS} FROM trends r JOIN topics k ON k.id = r.topic_id WHERE r.id IN (
        (SELECT id FROM live ORDER BY worth DESC, id LIMIT :most)
        UNION ALL (SELECT id FROM live WHERE alike ORDER BY worth DESC, id LIMIT :most)
    ) ORDER BY rank DESC, r.id
""")  # noqa: S608
_ONE = text(f"SELECT {COLUMNS} FROM trends r JOIN topics k ON k.id = r.topic_id WHERE r.id = :id AND {SEEN}")  # noqa: S608
_SERIES = text(f"""
    SELECT f.hour, coalesce(sum(h.posts), 0)::int AS posts, coalesce(sum(h.value), 0)::float AS value,
           coalesce(max(h.strength), 0)::float AS strength
    FROM detector_states d JOIN frame_hours f ON f.frame_id = d.frame_id AND f.hour >= :since
    LEFT JOIN topic_hours h ON h.topic_id = d.topic_id AND h.frame_id = d.frame_id AND h.hour = f.hour
    WHERE d.topic_id = :topic_id AND d.frame_id IN ({FRAMES}) GROUP BY f.hour ORDER BY f.hour
""")  # noqa: S608
_POSTS = text("""
    SELECT e.trend_id, p.platform, p.native_id, p.created_at, left(p.text, 300) AS text, p.hashtags, p.views, p.likes,
           p.comments, p.shares
    FROM trend_evidence e JOIN posts p ON p.id = e.post_id JOIN trend_sources s ON s.id = p.source_id
    WHERE e.trend_id = ANY(:ids) AND e.rank BETWEEN 1 AND :most
      AND (s.creator_id IS NULL OR s.creator_id = :creator_id) ORDER BY e.trend_id, e.rank, p.id
""")


def search(
    session: Session,
    creator_id: uuid.UUID,
    *,
    platform: str | None = None,
    region: str | None = None,
    state: TrendState | None = None,
    sort: TrendSort = TrendSort.RANK,
    limit: int = 50,
) -> Sequence[Row[Any]]:
    """Rows of trends with topic and rank. Without a `state`: those that are not over."""
    wanted = {"platform": platform, "region": region, "state": state, "limit": limit, "creator_id": creator_id}
    return session.execute(_SEARCH[sort], wanted).all()


def candidates(
    session: Session, creator_id: uuid.UUID, now: datetime, tags: Sequence[str], most: int = CANDIDATES
) -> Sequence[Row[Any]]:
    """Of the live trends those with the greatest strength x freshness at `now`: `most` of all, and `most` of those that
    have one of the canonical `tags`."""
    wanted = {"creator_id": creator_id, "now": now, "tags": list(tags), "most": most}
    return session.execute(_CANDIDATES, wanted).all()


def get(session: Session, trend_id: uuid.UUID, creator_id: uuid.UUID) -> Row[Any] | None:
    """One of them; None for one that this creator cannot see."""
    return session.execute(_ONE, {"id": trend_id, "creator_id": creator_id}).one_or_none()


def series(session: Session, topic_id: uuid.UUID, since: datetime, creator_id: uuid.UUID) -> Sequence[Row[Any]]:
    """(hour, posts, value, strength) of known hours, oldest first, up to two weeks; an unknown hour has no row."""
    return session.execute(_SERIES, {"topic_id": topic_id, "since": since, "creator_id": creator_id}).all()


def examples(
    session: Session, trend_ids: Sequence[uuid.UUID], creator_id: uuid.UUID, most: int = EXAMPLES
) -> dict[uuid.UUID, list[Row[Any]]]:
    """{trend: its most looked at posts}."""
    found: defaultdict[uuid.UUID, list[Row[Any]]] = defaultdict(list)
    for row in session.execute(_POSTS, {"ids": list(trend_ids), "most": most, "creator_id": creator_id}):
        found[row.trend_id].append(row)
    return found


def label(row: Row[Any]) -> str:
    """The topic as people write it."""
    if row.kind == "hashtag":
        return f"#{row.name}"
    return str(row.name) if row.kind == "phrase" else str(row.sound_name or f"a sound on {row.name.partition(':')[0]}")
