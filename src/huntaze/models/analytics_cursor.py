"""Where counting stands, and whose turn it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.analytics import Cursor

_KEY = "hashtextextended('analytics_cursor', 0)"
_WAIT = text(f"SELECT pg_advisory_xact_lock({_KEY}) IS NOT NULL")
_TRY = text(f"SELECT pg_try_advisory_xact_lock({_KEY})")
_READ = text("SELECT after::text AS after, facts_from FROM analytics_cursor")
_MOVE = text("""
    UPDATE analytics_cursor SET after = cast(cast(:after AS text) AS xid8), rolled_at = clock_timestamp()
""")
_FINAL = text("UPDATE analytics_cursor SET facts_from = greatest(facts_from, :facts_from)")
_STATUS = text("""
    SELECT rolled_at, facts_from,
           (SELECT count(*) FROM (SELECT FROM analytics_heard LIMIT :most) AS found) AS heard,
           (SELECT count(*) FROM (SELECT FROM analytics_dirty LIMIT :most) AS found) AS dirty,
           (SELECT count(*) FROM (SELECT FROM analytics_stale LIMIT :most) AS found) AS stale,
           (SELECT count(*) FROM (SELECT FROM analytics_stale_months LIMIT :most) AS found) AS months,
           (SELECT count(*) FROM (
               SELECT FROM analytics_facts WHERE xid > coalesce(after, '0') LIMIT :most) AS found) AS new
    FROM (SELECT) AS always LEFT JOIN analytics_cursor ON true
""")
COUNTED = 1_000_000  # what lies in wait is counted up to this


@dataclass(frozen=True)
class Held:
    """The cursor; the turn is the caller's until its transaction ends.

    `after`: all facts of transactions up to it are counted. `facts_from`: the facts before it are dropped, and what was
    counted of them is final.
    """

    after: int
    facts_from: datetime | None


@dataclass(frozen=True)
class Status:
    """How far counting is behind: rows of other domains that are no facts yet, facts not counted, buckets to count
    anew, buckets whose day is not derived, months that are not; each COUNTED at most."""

    rolled_at: datetime | None
    facts_from: datetime | None
    rows_heard: int
    new_facts: int
    dirty_buckets: int
    stale_buckets: int
    stale_months: int


def lock(session: Session, *, wait: bool) -> Held | None:
    """Takes the turn; None where somebody else has it and the caller does not `wait`."""
    if not session.execute(_WAIT if wait else _TRY).scalar_one():
        return None
    session.execute(insert(Cursor).values(id=1).on_conflict_do_nothing())
    row = session.execute(_READ).one()
    return Held(int(row.after), row.facts_from)


def move(session: Session, after: int) -> None:
    """Notes how far facts are counted."""
    session.execute(_MOVE, {"after": str(after)})


def make_final(session: Session, facts_from: datetime) -> None:
    """Notes that facts before this moment are gone."""
    session.execute(_FINAL, {"facts_from": facts_from})


def facts_from(session: Session) -> datetime | None:
    """Before this moment all facts are dropped; None: none ever was."""
    return session.scalars(select(Cursor.facts_from)).one_or_none()


def status(session: Session) -> Status:
    """Where counting stands now."""
    row = session.execute(_STATUS, {"most": COUNTED}).one()
    return Status(row.rolled_at, row.facts_from, row.heard, row.new, row.dirty, row.stale, row.months)
