"""How facts come in: thousands by COPY, a few by parameters. An event counts once.

The identity of an event is its creator and its id, whatever time it claims. A repeat changes nothing; a higher
revision takes the place of what was there, in another month too. `session` is the caller's transaction; nothing
here commits.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from huntaze.models import analytics_partitions
from huntaze.pipelines.analytics.buckets import bucket_of, months_before
from huntaze.pipelines.analytics.facts import Fact

PLATFORM = uuid.UUID(int=0)  # whose the facts are that belong to no creator
_BY_COPY = 100  # facts from which on COPY is quicker than parameters

_BOUNDS = text("SELECT clock_timestamp() AS now, (SELECT facts_from FROM analytics_cursor) AS facts_from")


@dataclass(frozen=True)
class Loaded:
    """What became of the facts: new ones, those that were known, and those that took another's place."""

    accepted: int
    repeated: int
    replaced: int


_COLUMNS = {
    "event_id": "uuid",
    "bucket": "timestamptz",
    "occurred_at": "timestamptz",
    "value": "int8",
    "person": "int8",
    "metric": "text",
    "label": "text",
    "revision": "int4",
}
_BUCKET = list(_COLUMNS).index("bucket")
_STAGE = text(f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS analytics_stage ({", ".join(f"{n} {t}" for n, t in _COLUMNS.items())})
    ON COMMIT DELETE ROWS
""")
_EMPTY = text("DELETE FROM analytics_stage")
_COPY = f"COPY analytics_stage ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_STAGED = "analytics_stage"
_GIVEN = f"unnest({', '.join(f'cast(:{n} AS {t}[])' for n, t in _COLUMNS.items())}) AS given ({', '.join(_COLUMNS)})"

# In the order of the ids, so that two loads with ids in common wait for one another in the same order.
_INSERT = """
    WITH given AS (
        SELECT DISTINCT ON (event_id) * FROM {source} ORDER BY event_id, revision DESC
    ), taken AS (
        INSERT INTO analytics_event_ids (creator_id, event_id, bucket, revision)
        SELECT :creator_id, event_id, bucket, revision FROM given ORDER BY event_id
        ON CONFLICT DO NOTHING RETURNING event_id
    )
    INSERT INTO analytics_facts (creator_id, event_id, bucket, occurred_at, value, person, metric, label)
    SELECT :creator_id, event_id, bucket, occurred_at, value, person, metric, label
    FROM given JOIN taken USING (event_id)
"""
# The locks come in a statement of their own: the next one's snapshot then sees the facts that the last holder wrote.
_LOCK = """
    SELECT known.event_id FROM analytics_event_ids AS known
    WHERE known.creator_id = :creator_id AND known.event_id IN (SELECT event_id FROM {source} WHERE revision > 0)
    ORDER BY known.event_id FOR UPDATE
"""
_REPLACE = """
    WITH given AS (
        SELECT DISTINCT ON (event_id) * FROM {source} WHERE revision > 0 ORDER BY event_id, revision DESC
    ), newer AS (
        SELECT given.*, known.bucket AS was FROM given JOIN analytics_event_ids AS known
        ON known.creator_id = :creator_id AND known.event_id = given.event_id AND known.revision < given.revision
        WHERE known.bucket >= coalesce((SELECT facts_from FROM analytics_cursor), '-infinity')
    ), noted AS (
        UPDATE analytics_event_ids AS known SET bucket = newer.bucket, revision = newer.revision FROM newer
        WHERE known.creator_id = :creator_id AND known.event_id = newer.event_id
    ), gone AS (
        DELETE FROM analytics_facts AS fact USING newer
        WHERE fact.creator_id = :creator_id AND fact.bucket = newer.was AND fact.event_id = newer.event_id
        RETURNING fact.metric, fact.bucket
    ), told AS (
        INSERT INTO analytics_dirty (creator_id, metric, bucket)
        SELECT DISTINCT cast(:creator_id AS uuid), metric, bucket FROM gone
    )
    INSERT INTO analytics_facts (creator_id, event_id, bucket, occurred_at, value, person, metric, label)
    SELECT :creator_id, event_id, bucket, occurred_at, value, person, metric, label FROM newer
"""


def _from(statement: str) -> dict[bool, TextClause]:
    """{whether it reads what COPY brought, else parameters: the statement}"""
    return {True: text(statement.format(source=_STAGED)), False: text(statement.format(source=_GIVEN))}


_INSERTS, _LOCKS, _REPLACES = _from(_INSERT), _from(_LOCK), _from(_REPLACE)


def bounds(session: Session, keep_months: int) -> tuple[datetime, datetime]:
    """[first, now]: the times that a fact may have. What is older would be dropped at once, or is already."""
    row = session.execute(_BOUNDS).one()
    policy = analytics_partitions.instant(months_before(row.now.date(), keep_months))
    return max(policy, row.facts_from or policy), row.now


def load(session: Session, creator_id: uuid.UUID, facts: Sequence[Fact]) -> Loaded:
    """Takes facts that suit their metrics (`complaint`) and lie within `bounds`.

    A revision of an event whose old fact is dropped already changes nothing: its bucket is final.
    """
    if not facts:
        return Loaded(0, 0, 0)
    rows = [_row(fact) for fact in facts]
    analytics_partitions.ensure(session, {bucket.date() for bucket in {row[_BUCKET] for row in rows}})
    staged = len(facts) >= _BY_COPY
    given: dict[str, object] = {"creator_id": creator_id}
    if staged:
        _copy(session, rows)
    else:
        given |= {name: list(column) for name, column in zip(_COLUMNS, zip(*rows, strict=True), strict=True)}
    accepted = _changed(session, _INSERTS[staged], given)
    replaced = 0
    if any(fact.revision for fact in facts) and accepted < len(facts):
        session.execute(_LOCKS[staged], given)
        replaced = _changed(session, _REPLACES[staged], given)
    return Loaded(accepted, len(facts) - accepted - replaced, replaced)


def _changed(session: Session, statement: TextClause, given: dict[str, object]) -> int:
    count: int = session.execute(statement, given).rowcount  # type: ignore[attr-defined]
    return count


def _row(fact: Fact) -> tuple[Any, ...]:
    """In the order of `_COLUMNS`."""
    bucket = bucket_of(fact.occurred_at)
    return (
        fact.event_id,
        bucket,
        fact.occurred_at,
        fact.value,
        fact.person,
        fact.metric,
        fact.label,
        fact.revision,
    )


def _copy(session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
    session.execute(_STAGE)
    session.execute(_EMPTY)  # of an earlier load in the same transaction
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(list(_COLUMNS.values()))
        for row in rows:
            copy.write_row(row)
