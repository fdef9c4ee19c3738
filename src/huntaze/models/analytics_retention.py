"""Facts that are past their time: a month goes at once, with its table. What was counted of them stays.

`session` is the caller's transaction; nothing here commits.
"""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_cursor, analytics_partitions
from huntaze.models.analytics_partitions import Month, instant
from huntaze.pipelines.analytics.buckets import months_before, months_between, next_month

AHEAD = 2  # months whose tables are there before they begin
BLOCKS = 5000  # of ids that one turn reads: 40 MB

# Facts that nobody has counted, and buckets that are to be counted anew: the month is not done with.
_UNCOUNTED = text("""
    SELECT EXISTS (
        SELECT FROM analytics_facts
        WHERE xid > cast(cast(:after AS text) AS xid8) AND bucket >= :start AND bucket < :end
    ) OR EXISTS (SELECT FROM analytics_dirty WHERE bucket < :end)
""")
_SIZE = text("SELECT pg_relation_size('analytics_event_ids') / current_setting('block_size')::int")
_FORGET_IDS = text("""
    DELETE FROM analytics_event_ids
    WHERE ctid >= cast(:first AS tid) AND ctid < cast(:last AS tid) AND bucket < :before
""")


def make_ahead(session: Session, now: datetime) -> list[date]:
    """Makes the tables of this month and the next ones; returns the new ones."""
    return analytics_partitions.ensure(session, months_between(now.date(), months_before(now.date(), -AHEAD)))


def expire(session: Session, before: date) -> Month | None:
    """Drops the oldest month that ended by `before`, if there is one and all of it is counted; None: nothing to do now.

    Raises OperationalError where readers or writers of facts hold it for more than three seconds.
    """
    cursor = analytics_cursor.lock(session, wait=False)
    oldest = next(iter(analytics_partitions.months(session)), None)
    if cursor is None or oldest is None or next_month(oldest.start) > before:
        return None
    end = instant(next_month(oldest.start))
    given = {"after": str(cursor.after), "start": instant(oldest.start), "end": end}
    if session.execute(_UNCOUNTED, given).scalar_one():
        return None
    analytics_partitions.drop(session, oldest)
    analytics_cursor.make_final(session, end)
    return oldest


def forget_ids(session: Session, first: int) -> tuple[int, int | None]:
    """Deletes ids of events whose months are dropped, from a block of the table on; returns how many, and the block to
    go on with: None at the end. Their repeats are refused by their time."""
    facts_from = analytics_cursor.facts_from(session)
    blocks = int(session.execute(_SIZE).scalar_one())
    if facts_from is None or first >= blocks:
        return 0, None
    last = first + BLOCKS
    given = {"first": f"({first},0)", "last": f"({last},0)", "before": facts_from}
    gone: int = session.execute(_FORGET_IDS, given).rowcount  # type: ignore[attr-defined]
    return gone, last if last < blocks else None
