"""SQL of the rounds of detection: which frames have new hours, what is read of them, and what a round leaves behind.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
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


_FRAME = text("SELECT seen, typical FROM topic_frames WHERE id = :frame_id")
_KNOWN = text("SELECT hour FROM frame_hours WHERE frame_id = :frame_id AND hour >= :since ORDER BY hour")
# Topics are found by the index, each: a plan that reads all of them would read them once a frame, of which there may be
# hundreds. LATERAL with LIMIT is what leaves the planner no choice.
_KEPT = text("""
    SELECT t.kind, t.name, cast(extract(epoch FROM d.hour) AS bigint) / 3600 AS hour, d.state
    FROM detector_states d CROSS JOIN LATERAL (SELECT kind, name FROM topics WHERE id = d.topic_id LIMIT 1) t
    WHERE d.frame_id = :frame_id AND d.hour >= :since
""")
_FOUND = "CROSS JOIN LATERAL (SELECT id FROM topics WHERE kind = s.kind AND name = s.name LIMIT 1) t"


def load_memory(session: Session, frame: DueFrame, first: int) -> tuple[Frame, dict[Topic, Kept]]:
    """What is remembered, before the hour `first`, of the frame itself and of its topics."""
    bound = {"frame_id": frame.id, "since": moment_of(first - MEMORY_H)}
    row = session.execute(_FRAME, {"frame_id": frame.id}).one()
    known = [hour_of(hour) for hour in session.scalars(_KNOWN, bound)]
    kinds = {kind.value: kind for kind in TopicKind}
    rows = session.execute(_KEPT, bound).all()
    kept = {Topic(kinds[kind], name): Kept(hour, state) for kind, name, hour, state in rows}
    return Frame(known, row.seen, row.typical), kept


_ADVANCE = text("""
    UPDATE topic_frames SET scored_until = :until, seen = :seen, typical = :typical
    WHERE id = :frame_id AND scored_until <= :first
""")
_FRAME_HOURS = text("""
    INSERT INTO frame_hours (frame_id, hour, posts)
    SELECT :frame_id, * FROM unnest(cast(:hours AS timestamptz[]), cast(:posts AS int[]))
""")
# By COPY, as a round may leave a hundred thousand rows. `id` is of a topic that may be new.
_STAGE_HOURS = text("""
    CREATE TEMP TABLE IF NOT EXISTS staged_hours (
        kind text, name text, hour timestamptz, posts int, authors int, value real, strength real
    ) ON COMMIT DELETE ROWS
""")
_STAGE_STATES = text("""
    CREATE TEMP TABLE IF NOT EXISTS staged_states (
        id uuid, kind text, name text, hour timestamptz, state bytea
    ) ON COMMIT DELETE ROWS
""")
# In the order of the key: two rounds with topics in common wait for one another, and do not block each other for good.
_TOPICS = text("""
    INSERT INTO topics (id, kind, name)
    SELECT id, kind, name FROM staged_states WHERE id IS NOT NULL ORDER BY kind, name
    ON CONFLICT (kind, name) DO NOTHING
""")
_TOPIC_HOURS = text(f"""
    INSERT INTO topic_hours (frame_id, topic_id, hour, posts, authors, value, strength)
    SELECT :frame_id, t.id, s.hour, s.posts, s.authors, s.value, s.strength FROM staged_hours s {_FOUND}
""")  # noqa: S608 - of constants
_STATES = text(f"""
    INSERT INTO detector_states (frame_id, topic_id, hour, state)
    SELECT :frame_id, t.id, s.hour, s.state FROM staged_states s {_FOUND}
    ON CONFLICT (frame_id, topic_id) DO UPDATE SET hour = excluded.hour, state = excluded.state
""")  # noqa: S608 - of constants
_NULL, _HEX = r"\N", r"\\x"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def save_round(
    session: Session,
    frame: DueFrame,
    hours: tuple[int, int],
    sample: Mapping[int, int],
    done: Round,
    known: Container[Topic] = (),
) -> None:
    """Stores a round over `hours` (first, until before). `known`: topics that are in the tables already.

    Raises Overtaken if the frame has gone on meanwhile: the cursor is the fence, and hours are scored once.
    """
    first, until = hours
    ends = {"frame_id": frame.id, "first": moment_of(first), "until": moment_of(until)}
    memory = {"seen": done.frame.seen, "typical": done.frame.typical}
    if session.connection().execute(_ADVANCE, {**ends, **memory}).rowcount != 1:
        raise Overtaken(f"frame {frame.id}, {moment_of(first)}")
    sampled = [hour for hour in done.frame.known if first <= hour < until]
    bound = {"hours": [*map(moment_of, sampled)], "posts": [sample[hour] for hour in sampled]}
    session.execute(_FRAME_HOURS, {"frame_id": frame.id, **bound})
    _stage(session, done, known)
    for statement in (_TOPICS, _TOPIC_HOURS, _STATES):
        session.execute(statement, {} if statement is _TOPICS else {"frame_id": frame.id})


def _stage(session: Session, done: Round, known: Container[Topic]) -> None:
    hours_of = {one.hour for one in done.scored} | {one.hour for one in done.states.values()}
    when = {hour: moment_of(hour).isoformat() for hour in hours_of}
    keys = {topic: f"{topic.kind}\t{topic.name.translate(_ESCAPES)}" for topic in done.states}
    session.execute(_STAGE_HOURS)
    session.execute(_STAGE_STATES)
    hours = (
        f"{keys[topic]}\t{when[hour]}\t{posts}\t{authors}\t{value:.6g}\t{strength:.6g}\n"
        for topic, hour, posts, authors, value, strength in done.scored
    )
    states = (
        f"{_NULL if topic in known else new_id()}\t{keys[topic]}\t{when[hour]}\t{_HEX}{state.hex()}\n"
        for topic, (hour, state) in done.states.items()
    )
    _copy(session, "COPY staged_hours FROM STDIN", hours)
    _copy(session, "COPY staged_states FROM STDIN", states)


def _copy(session: Session, statement: str, rows: Iterable[str]) -> None:
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write("".join(rows))


_IDS = text("""
    SELECT t.id, t.kind, t.name FROM unnest(cast(:kinds AS text[]), cast(:names AS text[])) AS asked (kind, name)
    JOIN topics t ON t.kind = asked.kind AND t.name = asked.name
""")


def topic_ids(session: Session, topics: Iterable[Topic]) -> dict[Topic, uuid.UUID]:
    """The ids of topics that are in the tables."""
    wanted = list(topics)
    rows = session.execute(_IDS, {"kinds": [one.kind for one in wanted], "names": [one.name for one in wanted]})
    return {Topic(TopicKind(row.kind), row.name): row.id for row in rows}
