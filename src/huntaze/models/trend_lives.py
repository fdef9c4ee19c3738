"""SQL of trends: begun by an alarm, followed hour by hour to their end, shown with what speaks for them.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Float, bindparam, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.models.trend_store import DueFrame
from huntaze.models.trend_topics import Trend, TrendTopic
from huntaze.pipelines.trends.buckets import hour_of, moment_of
from huntaze.pipelines.trends.evidence import Evidence
from huntaze.pipelines.trends.life import HALF_LIFE_H, SMOOTH_H, Life, TrendState, confidence, live
from huntaze.pipelines.trends.rounds import Alarm
from huntaze.pipelines.trends.topics import Topic, TopicKind

EVIDENCE = 10  # posts that are kept of a trend
_BEFORE_H = 2 * SMOOTH_H  # hours before the alarm that its first velocity is measured against
_UNSEEN = timedelta(days=3)  # without a known hour: nobody looks any more, and the trend is taken to be over

_OPEN = text("SELECT t.kind, t.name, r.id FROM trends r JOIN topics t ON t.id = r.topic_id WHERE r.state <> 'over'")


def open_trends(session: Session) -> dict[Topic, uuid.UUID]:
    """{topic: its trend}, of the trends that are not over."""
    return {Topic(TopicKind(row.kind), row.name): row.id for row in session.execute(_OPEN)}


# A topic that has a trend gets no second one: the alarm strengthens it, as does one from another platform or region.
_BEGIN = text("""
    INSERT INTO trends AS t (id, topic_id, state, platforms, regions, started_at, peak_at, strength, level, peak_level,
                             velocity, confidence, posts, authors, related)
    VALUES (:id, :topic_id, 'emerging', :platforms, :regions, :at, :at, :strength, 0, 0, 0, :confidence,
            :posts, :authors, '[]')
    ON CONFLICT (topic_id) WHERE state <> 'over' DO UPDATE SET
        platforms = ARRAY(SELECT DISTINCT unnest(t.platforms || excluded.platforms) ORDER BY 1),
        regions = ARRAY(SELECT DISTINCT unnest(t.regions || excluded.regions) ORDER BY 1),
        started_at = least(t.started_at, excluded.started_at),
        strength = greatest(t.strength, excluded.strength), confidence = greatest(t.confidence, excluded.confidence),
        posts = greatest(t.posts, excluded.posts), authors = greatest(t.authors, excluded.authors)
    RETURNING id
""")


def begin(
    session: Session, frame: DueFrame, alarms: Sequence[Alarm], ids: Mapping[Topic, uuid.UUID], threshold: float
) -> dict[Topic, uuid.UUID]:
    """The trends of a frame's alarms, made where there is none. `threshold`: standard deviations at strength 1."""
    places = {"platforms": [frame.platform], "regions": [frame.region] if frame.region else []}
    found = {}
    for alarm in sorted(alarms):
        sure = confidence(alarm.strength * threshold, alarm.posts, alarm.authors)
        facts = {"strength": alarm.strength, "posts": alarm.posts, "authors": alarm.authors, "confidence": sure}
        bound = {"id": new_id(), "topic_id": ids[alarm.topic], "at": moment_of(alarm.hour), **places, **facts}
        found[alarm.topic] = session.execute(_BEGIN, bound).scalar_one()
    return found


_SHOW = text("""
    INSERT INTO trend_evidence (trend_id, post_id, rank) SELECT :trend_id, unnest(cast(:posts AS uuid[])), 0
    ON CONFLICT DO NOTHING
""")
_BEST = text("""
    WITH ranked AS (
        SELECT e.post_id, row_number() OVER (
            ORDER BY p.views DESC NULLS LAST, p.likes DESC NULLS LAST, p.created_at DESC, p.id
        ) AS place
        FROM trend_evidence e JOIN posts p ON p.id = e.post_id WHERE e.trend_id = :trend_id
    ), kept AS (
        UPDATE trend_evidence e SET rank = ranked.place FROM ranked
        WHERE e.trend_id = :trend_id AND e.post_id = ranked.post_id AND ranked.place <= :most
    )
    DELETE FROM trend_evidence e WHERE e.trend_id = :trend_id
      AND e.post_id NOT IN (SELECT post_id FROM ranked WHERE place <= :most)
""")
_RELATE = text("UPDATE trends SET related = :related WHERE id = :trend_id").bindparams(
    bindparam("related", type_=JSONB)
)


def show(session: Session, trends: Mapping[Topic, uuid.UUID], found: Mapping[Topic, Evidence]) -> None:
    """Keeps of each trend the posts that were looked at most, old and new, and what they speak of beside it."""
    for topic, evidence in sorted(found.items()):
        trend = {"trend_id": trends[topic]}
        session.execute(_SHOW, {**trend, "posts": evidence.posts})
        session.execute(_BEST, {**trend, "most": EVIDENCE})
        related = [{"kind": one.kind, "name": one.name, "share": round(share, 3)} for one, share in evidence.related]
        session.execute(_RELATE, {**trend, "related": related})


_LIVING = text("SELECT id, topic_id, started_at FROM trends WHERE state <> 'over' ORDER BY id FOR UPDATE")
_KNOWN = text("""
    SELECT d.topic_id, f.hour, coalesce(sum(h.value), 0) AS value
    FROM detector_states d
    JOIN frame_hours f ON f.frame_id = d.frame_id AND f.hour >= :since
    LEFT JOIN topic_hours h ON h.topic_id = d.topic_id AND h.frame_id = d.frame_id AND h.hour = f.hour
    WHERE d.topic_id = ANY(:topics) GROUP BY d.topic_id, f.hour
""")
_LIVE = text("""
    UPDATE trends SET state = :state, level = :level, peak_level = :peak, velocity = :velocity, lead_h = :lead_h,
        peak_at = :peak_at, ended_at = :ended_at, updated_at = clock_timestamp()
    WHERE id = :id
""")


def follow(session: Session, slot: datetime) -> Counter[str]:
    """Brings every trend that is not over up to what is known by `slot`; returns how many are in which state."""
    living = session.execute(_LIVING).all()
    values: defaultdict[uuid.UUID, dict[int, float]] = defaultdict(dict)
    if living:
        since = min(row.started_at for row in living) - timedelta(hours=_BEFORE_H)
        for row in session.execute(_KNOWN, {"since": since, "topics": [row.topic_id for row in living]}):
            values[row.topic_id][hour_of(row.hour)] = row.value
    states: Counter[str] = Counter()
    for row in living:
        known = values[row.topic_id]
        last = max(known, default=hour_of(row.started_at))
        life = live(_series(known, hour_of(row.started_at), last), _BEFORE_H)
        unseen = slot - moment_of(last) > _UNSEEN
        state = TrendState.OVER if unseen else life.state
        session.execute(_LIVE, {"id": row.id, **_columns(life, state, row.started_at, last)})
        states[state] += 1
    return states


def _series(known: Mapping[int, float], started: int, last: int) -> list[float]:
    """Hourly values from before the start until now; an hour that is unknown is as the one before."""
    values, value = [], 0.0
    for hour in range(started - _BEFORE_H, max(started, last) + 1):
        value = known.get(hour, value)
        values.append(value)
    return values


def _columns(life: Life, state: TrendState, started_at: datetime, last: int) -> dict[str, Any]:
    ended_at = moment_of(last + 1) if state == TrendState.OVER else None
    levels = {"level": life.level, "peak": life.peak, "velocity": life.velocity, "lead_h": life.lead_h}
    return {"state": state, "peak_at": started_at + timedelta(hours=life.peak_h), "ended_at": ended_at, **levels}


def search(
    session: Session, now: datetime, *, platform: str | None = None, state: TrendState | None = None, limit: int = 50
) -> list[tuple[Trend, TrendTopic, float]]:
    """(trend, topic, rank): strength halved every twelve hours since the peak, the highest first (life.rank).

    Without a `state`: those that are not over.
    """
    hours = func.greatest(0, func.extract("epoch", now - Trend.peak_at) / 3600)
    rank = Trend.strength * func.power(cast(0.5, Float), cast(hours / HALF_LIFE_H, Float))
    query = select(Trend, TrendTopic, rank).join(TrendTopic, TrendTopic.id == Trend.topic_id)
    query = query.where(Trend.state == state if state else Trend.state != TrendState.OVER)
    if platform is not None:
        query = query.where(Trend.platforms.contains([platform]))
    rows = session.execute(query.order_by(rank.desc(), Trend.id).limit(limit))
    return [(row[0], row[1], float(row[2])) for row in rows]
