"""From buckets to the days and months of each creator's zone.

As with buckets, a day is never added to: it is derived anew from all of its buckets, and a month from its days. Months
are derived apart from days, and less often: most of their days are as they were.
`session` is the caller's transaction; nothing here commits.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.orm import Session

from huntaze.models import analytics_cursor, analytics_zones
from huntaze.models.analytics import Period
from huntaze.models.analytics_figures import AT_ONCE, columns_of, fold_large, keep
from huntaze.pipelines.analytics.sketches import EXACT, Held, merge_values, unite_persons

STALE = 100_000  # marks of one turn

_SETTINGS = (
    text("SET LOCAL jit = off"),
    text("SET LOCAL statement_timeout = '5min'"),
    text("SET LOCAL work_mem = '64MB'"),
    text("SET LOCAL plan_cache_mode = force_custom_plan"),
)
# By the indexes, day for day: what a turn costs must not depend on how much history there is.
_BY_INDEX = tuple(text(f"SET LOCAL enable_{way} = off") for way in ("hashjoin", "mergejoin", "seqscan", "bitmapscan"))
_FREELY = tuple(text(f"SET LOCAL enable_{way} = on") for way in ("hashjoin", "mergejoin", "seqscan", "bitmapscan"))
_DUE = text("""
    CREATE TEMPORARY TABLE analytics_due (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, creator_id uuid, metric text COLLATE "C", start date, zone text
    )
""")
_PARTS = text("""
    CREATE TEMPORARY TABLE analytics_parts (
        due int, label text COLLATE "C", count int8, total numeric, least int8, most int8,
        persons int8[], persons_sketch bytea, spread int8[], spread_sketch bytea
    )
""")
_END = (text("DROP TABLE analytics_due"), text("DROP TABLE analytics_parts"))
_MORE_DAYS = text("SELECT EXISTS (SELECT FROM analytics_stale)")
_MORE_MONTHS = text("SELECT EXISTS (SELECT FROM analytics_stale_months)")
_TAKE_DAYS = text("""
    WITH taken AS (
        DELETE FROM analytics_stale WHERE ctid = ANY (ARRAY(SELECT ctid FROM analytics_stale LIMIT :limit))
        RETURNING creator_id, metric, bucket
    )
    INSERT INTO analytics_due (creator_id, metric, start, zone)
    SELECT DISTINCT taken.creator_id, taken.metric, (taken.bucket AT TIME ZONE zones.zone)::date AS start, zones.zone
    FROM taken JOIN analytics_zones AS zones ON zones.creator_id = taken.creator_id
    ORDER BY taken.creator_id, taken.metric, start
""")
_TELL_MONTHS = text("""
    INSERT INTO analytics_stale_months (creator_id, metric, start)
    SELECT DISTINCT creator_id, metric, date_trunc('month', start)::date FROM analytics_due
""")
_TAKE_MONTHS = text("""
    WITH taken AS (
        DELETE FROM analytics_stale_months
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM analytics_stale_months LIMIT :limit))
        RETURNING creator_id, metric, start
    )
    INSERT INTO analytics_due (creator_id, metric, start)
    SELECT DISTINCT creator_id, metric, start FROM taken ORDER BY creator_id, metric, start
""")
_FORGET = text("""
    DELETE FROM analytics_periods AS old USING analytics_due AS due
    WHERE old.creator_id = due.creator_id AND old.metric = due.metric AND old.grain = :grain AND old.start = due.start
""")
_FIGURES = ", ".join(
    f"part.{name}"
    for name in ("label", "count", "total", "least", "most", "persons", "persons_sketch", "spread", "spread_sketch")
)
_OF_DAYS = text(f"""
    INSERT INTO analytics_parts
    SELECT due.id, {_FIGURES}
    FROM analytics_due AS due JOIN analytics_buckets AS part
    ON part.creator_id = due.creator_id AND part.metric = due.metric
       AND part.bucket >= (due.start::timestamp AT TIME ZONE due.zone) - interval '3 hours'
       AND part.bucket < ((due.start + 1)::timestamp AT TIME ZONE due.zone) + interval '3 hours'
    WHERE (part.bucket AT TIME ZONE due.zone)::date = due.start
""")  # noqa: S608 - of constants. The range is for the index; whose day a bucket is, its local date says
_OF_MONTHS = text(f"""
    INSERT INTO analytics_parts
    SELECT due.id, {_FIGURES}
    FROM analytics_due AS due JOIN analytics_periods AS part
    ON part.creator_id = due.creator_id AND part.metric = due.metric AND part.grain = 'day'
       AND part.start >= due.start AND part.start < (due.start + interval '1 month')::date
""")  # noqa: S608 - of constants
# Each part as a row of its figures, one for each of its persons and one for each of its values: one grouping for all.
_MERGE = text("""
    WITH merged AS (
        SELECT part.due, part.label, sum(one.count) AS count, sum(one.total) AS total,
               min(one.least) AS least, max(one.most) AS most,
               array_agg(DISTINCT one.person ORDER BY one.person) FILTER (WHERE one.person IS NOT NULL) AS persons,
               array_agg(one.value ORDER BY one.value) FILTER (WHERE one.value IS NOT NULL) AS spread
        FROM analytics_parts AS part CROSS JOIN LATERAL (
            SELECT part.count, part.total, part.least, part.most, NULL::int8 AS person, NULL::int8 AS value
            UNION ALL SELECT NULL, NULL, NULL, NULL, person, NULL FROM unnest(part.persons) AS person
            UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, value FROM unnest(part.spread) AS value
        ) AS one
        GROUP BY part.due, part.label
    ), made AS (
        INSERT INTO analytics_periods (
            creator_id, metric, grain, start, label, count, total, least, most, persons, spread
        )
        SELECT due.creator_id, due.metric, :grain, due.start, label, count, total, least, most, persons, spread
        FROM merged JOIN analytics_due AS due ON due.id = merged.due
        RETURNING creator_id, metric, grain, start, label, persons, spread
    )
    SELECT creator_id, metric, grain, start, label FROM made
    WHERE cardinality(persons) > :exact OR cardinality(spread) > :exact
""")
_SKETCHED = text("""
    SELECT creator_id, metric, cast(:grain AS text) AS grain, start, label,
           persons, persons_sketch, spread, spread_sketch
    FROM analytics_parts JOIN analytics_due ON id = due
    WHERE (due, label) IN (
        SELECT due, label FROM analytics_parts WHERE persons_sketch IS NOT NULL OR spread_sketch IS NOT NULL
    )
    ORDER BY due, label
""")


@dataclass(frozen=True)
class Turn:
    """What one turn derived. `more`: there is another one to take."""

    periods: int
    more: bool


def settle(session: Session, *, wait: bool = False, limit: int = STALE) -> Turn | None:
    """Derives the days of buckets that were counted since; None where somebody else is at it."""
    if analytics_cursor.lock(session, wait=wait) is None:
        return None
    analytics_zones.refresh(session)
    with _due(session, _TAKE_DAYS, limit) as days:
        if days:
            session.execute(_TELL_MONTHS)
            _derive(session, "day", _OF_DAYS)
    return Turn(days, more=bool(session.execute(_MORE_DAYS).scalar_one()))


def settle_months(session: Session, *, wait: bool = False, limit: int = STALE) -> Turn | None:
    """Derives the months of days that were derived since; None where somebody else is at it."""
    if analytics_cursor.lock(session, wait=wait) is None:
        return None
    with _due(session, _TAKE_MONTHS, limit) as months:
        if months:
            _derive(session, "month", _OF_MONTHS)
    return Turn(months, more=bool(session.execute(_MORE_MONTHS).scalar_one()))


@contextmanager
def _due(session: Session, take: TextClause, limit: int) -> Iterator[int]:
    """Takes marks; the tables of this turn are there meanwhile. Gives the number of periods that are due."""
    for statement in (*_SETTINGS, _DUE, _PARTS):
        session.execute(statement)
    result: Any = session.execute(take, {"limit": limit})
    yield result.rowcount
    for statement in _END:
        session.execute(statement)


def _set_all(session: Session, settings: Iterable[TextClause]) -> None:
    for setting in settings:
        session.execute(setting)


def _derive(session: Session, grain: str, parts: TextClause) -> None:
    _set_all(session, _BY_INDEX)
    session.execute(_FORGET, {"grain": grain})
    session.execute(parts)
    _set_all(session, _FREELY)
    large = session.execute(_MERGE, {"grain": grain, "exact": EXACT}).all()
    fold_large(session, Period, [tuple(row) for row in large])
    # After these: a group with a sketch among its parts is merged from all of its parts.
    sketched = session.execute(_SKETCHED, {"grain": grain}, execution_options={"yield_per": AT_ONCE})
    rows = (key | _merged(parts) for key, parts in groupby(sketched, key=_key))
    while chunk := list(islice(rows, AT_ONCE)):
        keep(session, Period, chunk)


def _key(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("creator_id", "metric", "grain", "start", "label")}


def _merged(rows: Iterable[Row[Any]]) -> dict[str, object]:
    parts = list(rows)
    persons = unite_persons(Held(part.persons, part.persons_sketch) for part in parts)
    return columns_of(persons, merge_values(Held(part.spread, part.spread_sketch) for part in parts))
