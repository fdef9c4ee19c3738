"""From new facts to buckets.

A bucket is never added to: it is deleted, and counted again from all of its facts. So counting twice, or starting
again after a crash, gives the same rows, and the order in which facts came leaves no trace. New facts are found by the
transaction that wrote them: all transactions below the oldest that is still at work have ended, so none can bring a
fact behind the cursor (an id or a time can). `session` is the caller's transaction; nothing here commits.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_cursor
from huntaze.models.analytics import Bucket
from huntaze.models.analytics_figures import fold_large
from huntaze.pipelines.analytics.metrics import WITH_SPREAD
from huntaze.pipelines.analytics.sketches import EXACT

FACTS = 200_000  # of one turn, to the end of the last one's transaction
MARKS = 50_000  # dirty buckets of one turn

_PLAN = (
    # By the indexes, bucket for bucket: what a turn costs must not depend on how much history there is.
    text("SET LOCAL enable_hashjoin = off"),
    text("SET LOCAL enable_mergejoin = off"),
    text("SET LOCAL enable_seqscan = off"),
    text("SET LOCAL enable_bitmapscan = off"),
    text("SET LOCAL jit = off"),
    text(
        "SET LOCAL statement_timeout = '5min'"
    ),  # full buckets take as long as they take: no turn is given up for good
    text("SET LOCAL work_mem = '64MB'"),
    text("SET LOCAL plan_cache_mode = force_custom_plan"),
)
_HORIZON = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
_REACH = text("""
    SELECT count(*) AS facts, max(xid)::text AS last FROM (
        SELECT xid FROM analytics_facts
        WHERE xid > cast(cast(:after AS text) AS xid8) AND xid < cast(cast(:horizon AS text) AS xid8)
        ORDER BY xid LIMIT :limit
    ) AS fresh
""")
_TURN = text("""
    CREATE TEMPORARY TABLE analytics_turn (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, creator_id uuid, metric text COLLATE "C", bucket timestamptz
    )
""")
_END = text("DROP TABLE analytics_turn")
# Marks are taken before anything is counted: whoever replaces a fact meanwhile leaves a mark that this does not see.
_COLLECT = text("""
    WITH marked AS (
        DELETE FROM analytics_dirty WHERE ctid = ANY (ARRAY(SELECT ctid FROM analytics_dirty LIMIT :marks))
        RETURNING creator_id, metric, bucket
    )
    INSERT INTO analytics_turn (creator_id, metric, bucket)
    SELECT creator_id, metric, bucket FROM (
        SELECT creator_id, metric, bucket FROM analytics_facts
        WHERE xid > cast(cast(:after AS text) AS xid8) AND xid <= cast(cast(:reach AS text) AS xid8)
        UNION
        SELECT creator_id, metric, bucket FROM marked WHERE bucket >= coalesce(:facts_from, '-infinity'::timestamptz)
    ) AS named ORDER BY creator_id, bucket, metric
""")
_FORGET = text("""
    DELETE FROM analytics_buckets AS old USING analytics_turn AS turn
    WHERE old.creator_id = turn.creator_id AND old.metric = turn.metric AND old.bucket = turn.bucket
""")
# Grouped by a number: the facts come bucket by bucket, and so each bucket is sorted by itself.
_COUNT = text("""
    WITH made AS (
        INSERT INTO analytics_buckets (
            creator_id, metric, bucket, label, count, total, least, most, persons, spread
        )
        SELECT turn.creator_id, turn.metric, turn.bucket, fact.label,
               count(*), sum(fact.value), min(fact.value), max(fact.value),
               array_agg(DISTINCT fact.person ORDER BY fact.person) FILTER (WHERE fact.person IS NOT NULL),
               array_agg(fact.value ORDER BY fact.value) FILTER (WHERE turn.metric = ANY (cast(:spreads AS text[])))
        FROM analytics_turn AS turn JOIN analytics_facts AS fact
        ON fact.creator_id = turn.creator_id AND fact.bucket = turn.bucket AND fact.metric = turn.metric
        GROUP BY turn.id, fact.label
        RETURNING creator_id, metric, bucket, label, persons, spread
    )
    SELECT creator_id, metric, bucket, label FROM made
    WHERE cardinality(persons) > :exact OR cardinality(spread) > :exact
""")
_MORE = text("SELECT EXISTS (SELECT FROM analytics_dirty)")
_MARK = text("""
    INSERT INTO analytics_dirty (creator_id, metric, bucket)
    SELECT creator_id, metric, bucket FROM analytics_facts WHERE bucket >= :start AND bucket < :end
    UNION
    SELECT creator_id, metric, bucket FROM analytics_buckets WHERE bucket >= :start AND bucket < :end
""")
_TELL = text("""
    INSERT INTO analytics_stale (creator_id, metric, bucket) SELECT creator_id, metric, bucket FROM analytics_turn
""")


@dataclass(frozen=True)
class Turn:
    """What one turn counted. `more`: there is another one to take."""

    facts: int
    buckets: int
    more: bool


def roll(session: Session, *, wait: bool = False, facts: int = FACTS, marks: int = MARKS) -> Turn | None:
    """Counts the buckets of new facts, and those that are dirty; None where somebody else is at it."""
    cursor = analytics_cursor.lock(session, wait=wait)
    if cursor is None:
        return None
    for setting in _PLAN:
        session.execute(setting)
    # After the lock: what the last holder counted must not be below this horizon and above its cursor.
    horizon = int(session.execute(_HORIZON).scalar_one())
    given = {"after": str(cursor.after), "horizon": str(horizon), "limit": facts}
    fresh = session.execute(_REACH, given).one()
    reach = int(fresh.last) if fresh.facts == facts else max(horizon - 1, cursor.after)
    session.execute(_TURN)
    given = {"after": str(cursor.after), "reach": str(reach), "marks": marks, "facts_from": cursor.facts_from}
    buckets: int = session.execute(_COLLECT, given).rowcount  # type: ignore[attr-defined]
    if buckets:
        _recount(session)
    session.execute(_END)
    analytics_cursor.move(session, reach)
    more = fresh.facts == facts or bool(session.execute(_MORE).scalar_one())
    return Turn(fresh.facts, buckets, more)


def _recount(session: Session) -> None:
    session.execute(_FORGET)
    large = session.execute(_COUNT, {"spreads": list(WITH_SPREAD), "exact": EXACT}).all()
    fold_large(session, Bucket, [tuple(row) for row in large])
    session.execute(_TELL)


def mark(session: Session, start: datetime, end: datetime) -> int:
    """Has all buckets in [start, end) counted anew, those with facts and those with figures; returns how many.

    What was counted of facts that are dropped by now stays as it is.
    """
    count: int = session.execute(_MARK, {"start": start, "end": end}).rowcount  # type: ignore[attr-defined]
    return count
