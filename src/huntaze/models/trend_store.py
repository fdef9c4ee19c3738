"""SQL of the rounds of detection: which frames have new hours, what is read of them, and what a round leaves behind.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.pipelines.trends.buckets import Sighting, hour_of, moment_of
from huntaze.pipelines.trends.rounds import MEMORY_H, Frame, Kept, Round
from huntaze.pipelines.trends.topics import Topic, TopicKind


class Overtaken(Exception):
    """Somebody else has scored these hours meanwhile: nothing is to be stored."""


@dataclass(frozen=True)
class DueFrame:
    """A frame and the hours, as buckets, that are to be scored: from `first` until before `until`."""

    id: uuid.UUID
    source_id: uuid.UUID
    max_items: int
    platform: str
    region: str | None
    first: int
    until: int


# An hour is settled once a run was started after its end: what it brought is all that will be compared. Runs under
# another cap than the source's of today belong to a frame of the past.
_COVERED = text("""
    SELECT s.id AS source_id, s.max_items, s.platform, s.region,
           date_trunc('hour', least(max(r.observed_at), :slot)) AS until
    FROM trend_sources s
    JOIN trend_runs r ON r.source_id = s.id AND r.max_items = s.max_items AND r.feeds AND r.observed_at > :since
    GROUP BY s.id ORDER BY s.id
""")
_ENSURE = text("""
    INSERT INTO topic_frames (id, source_id, max_items, platform, region, scored_until, seen, typical)
    VALUES (:id, :source_id, :max_items, :platform, :region, :start, 0, 0)
    ON CONFLICT (source_id, max_items) DO UPDATE SET region = excluded.region
    RETURNING id, scored_until
""")


def due_frames(session: Session, slot: datetime) -> list[DueFrame]:
    """The frames with hours that are settled by `slot` and not scored, made where they are new.

    A frame that was not looked at for longer than its memory goes on from there: nothing older would be remembered.
    """
    since = slot - timedelta(hours=MEMORY_H)
    due = []
    for row in session.execute(_COVERED, {"slot": slot, "since": since}).all():
        facts = {name: getattr(row, name) for name in ("source_id", "max_items", "platform", "region")}
        frame = session.execute(_ENSURE, {**facts, "id": new_id(), "start": moment_of(hour_of(since))}).one()
        first, until = max(hour_of(frame.scored_until), hour_of(since)), hour_of(row.until)
        if first < until:
            due.append(DueFrame(frame.id, **facts, first=first, until=until))
    return due


_POSTS = text("""
    SELECT p.id, p.platform, p.created_at, p.author_key, p.text, p.hashtags, p.sound_id
    FROM posts p JOIN trend_runs r ON r.id = p.run_id
    WHERE p.source_id = :source_id AND p.created_at >= :since AND p.created_at < :until
      AND p.created_exact AND p.is_ad IS NOT TRUE AND r.feeds AND r.max_items = :max_items
""")


def load_posts(session: Session, frame: DueFrame, first: int, until: int) -> list[Sighting]:
    """The frame's posts of these hours, by when they were made: no advertisements, and no times that are a guess."""
    facts = {"source_id": frame.source_id, "max_items": frame.max_items}
    rows = session.execute(_POSTS, {**facts, "since": moment_of(first), "until": moment_of(until)})
    return [Sighting(*row) for row in rows]


_FOLLOWED = text("""
    SELECT t.name FROM detector_states d JOIN topics t ON t.id = d.topic_id
    WHERE d.frame_id = :frame_id AND t.kind = :kind AND d.hour >= :since
""")


def load_followed(session: Session, frame: DueFrame) -> frozenset[str]:
    """The phrases that the frame's detector knows."""
    since = moment_of(frame.first - MEMORY_H)
    bound = {"frame_id": frame.id, "kind": TopicKind.PHRASE, "since": since}
    return frozenset(session.scalars(_FOLLOWED, bound))


_FRAME = text("SELECT seen, typical FROM topic_frames WHERE id = :frame_id")
_KNOWN = text("SELECT hour FROM frame_hours WHERE frame_id = :frame_id AND hour >= :since ORDER BY hour")
_KEPT = text("""
    SELECT t.kind, t.name, d.hour, d.state
    FROM unnest(cast(:kinds AS text[]), cast(:names AS text[])) AS asked (kind, name)
    JOIN topics t ON t.kind = asked.kind AND t.name = asked.name
    JOIN detector_states d ON d.topic_id = t.id AND d.frame_id = :frame_id
""")


def load_frame(session: Session, frame: DueFrame, first: int) -> Frame:
    """What is remembered of the frame itself."""
    row = session.execute(_FRAME, {"frame_id": frame.id}).one()
    known = session.scalars(_KNOWN, {"frame_id": frame.id, "since": moment_of(first - MEMORY_H)})
    return Frame([hour_of(hour) for hour in known], row.seen, row.typical)


def load_states(session: Session, frame: DueFrame, topics: Sequence[Topic]) -> dict[Topic, Kept]:
    """What the frame's detector remembers of these topics."""
    bound = {"frame_id": frame.id, "kinds": [one.kind for one in topics], "names": [one.name for one in topics]}
    rows = session.execute(_KEPT, bound)
    return {Topic(TopicKind(row.kind), row.name): Kept(hour_of(row.hour), row.state) for row in rows}


_ADVANCE = text("""
    UPDATE topic_frames SET scored_until = :until, seen = :seen, typical = :typical
    WHERE id = :frame_id AND scored_until <= :first
""")
_FRAME_HOURS = text("""
    INSERT INTO frame_hours (frame_id, hour, posts)
    SELECT :frame_id, * FROM unnest(cast(:hours AS timestamptz[]), cast(:posts AS int[]))
""")
_TOPICS = text("""
    WITH asked AS (
        SELECT * FROM unnest(cast(:ids AS uuid[]), cast(:kinds AS text[]), cast(:names AS text[])) AS a (id, kind, name)
    ), made AS (
        INSERT INTO topics (id, kind, name) SELECT id, kind, name FROM asked ORDER BY kind, name
        ON CONFLICT (kind, name) DO NOTHING RETURNING id, kind, name
    )
    SELECT id, kind, name FROM made
    UNION ALL SELECT t.id, t.kind, t.name FROM asked JOIN topics t ON t.kind = asked.kind AND t.name = asked.name
""")
_TOPIC_HOURS = text("""
    INSERT INTO topic_hours (frame_id, topic_id, hour, posts, authors, value, strength)
    SELECT :frame_id, * FROM unnest(
        cast(:topics AS uuid[]), cast(:hours AS timestamptz[]), cast(:posts AS int[]), cast(:authors AS int[]),
        cast(:values AS real[]), cast(:strengths AS real[])
    )
""")
_STATES = text("""
    INSERT INTO detector_states (frame_id, topic_id, hour, state)
    SELECT :frame_id, * FROM unnest(cast(:topics AS uuid[]), cast(:hours AS timestamptz[]), cast(:states AS bytea[]))
    ON CONFLICT (frame_id, topic_id) DO UPDATE SET hour = excluded.hour, state = excluded.state
""")


def save_round(
    session: Session, frame: DueFrame, hours: tuple[int, int], sample: Mapping[int, int], done: Round
) -> dict[Topic, uuid.UUID]:
    """Stores a round over `hours` (first, until before) and returns the ids of its topics.

    Raises Overtaken if the frame has gone on meanwhile: the cursor is the fence, and hours are scored once.
    """
    first, until = hours
    ends = {"frame_id": frame.id, "first": moment_of(first), "until": moment_of(until)}
    memory = {"seen": done.frame.seen, "typical": done.frame.typical}
    if session.connection().execute(_ADVANCE, {**ends, **memory}).rowcount != 1:
        raise Overtaken(f"frame {frame.id}, {moment_of(first)}")
    known = [hour for hour in done.frame.known if first <= hour < until]
    bound = {"frame_id": frame.id, "hours": [*map(moment_of, known)], "posts": [sample[hour] for hour in known]}
    session.execute(_FRAME_HOURS, bound)
    ids = ensure_topics(session, done.states)
    rows = done.scored
    counts = {"posts": [one.posts for one in rows], "authors": [one.authors for one in rows]}
    scores = {"values": [one.value for one in rows], "strengths": [one.strength for one in rows]}
    of = {
        "frame_id": frame.id,
        "topics": [ids[one.topic] for one in rows],
        "hours": [moment_of(one.hour) for one in rows],
    }
    session.execute(_TOPIC_HOURS, {**of, **counts, **scores})
    states = {"hours": [moment_of(one.hour) for one in done.states.values()]}
    states |= {"states": [one.state for one in done.states.values()]}
    session.execute(_STATES, {"frame_id": frame.id, "topics": [ids[one] for one in done.states], **states})
    return ids


def ensure_topics(session: Session, topics: Iterable[Topic]) -> dict[Topic, uuid.UUID]:
    """The ids of topics, made where they are new; in the order of the key, so that two rounds wait and never block."""
    wanted = sorted(topics)
    bound = {"ids": [new_id() for _ in wanted], "kinds": [t.kind for t in wanted], "names": [t.name for t in wanted]}
    found = {Topic(TopicKind(row.kind), row.name): row.id for row in session.execute(_TOPICS, bound)}
    if len(found) < len(wanted):  # made by somebody else between the look and the insert, which waited for them
        found |= {Topic(TopicKind(row.kind), row.name): row.id for row in session.execute(_TOPICS, bound)}
    return found
