"""The months of facts: made when they are needed, dropped when they are old.

They are tables of the schema `analytics`. `session` is the caller's transaction; nothing here commits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.pipelines.analytics.buckets import month_start, next_month

# Not by `to_regclass`: it goes by a cache that does not learn of others' commits in the middle of a transaction.
_MISSING = text("""
    SELECT name FROM unnest(cast(:names AS text[])) AS name
    WHERE NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'analytics'::regnamespace)
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('analytics_facts', 0))")
# Attached, not made in place: that would lock all of `analytics_facts` until the caller's commit.
_MAKE = "CREATE TABLE analytics.{name} (LIKE analytics_facts INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
_ATTACH = """
    ALTER TABLE analytics_facts ATTACH PARTITION analytics.{name} FOR VALUES FROM ('{start} UTC') TO ('{end} UTC')
"""
_ALL = text("""
    SELECT c.relname AS name, greatest(c.reltuples, 0)::bigint AS facts, pg_total_relation_size(c.oid) AS bytes
    FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
    WHERE inhparent = 'analytics_facts'::regclass ORDER BY c.relname
""")


@dataclass(frozen=True)
class Month:
    """One month of facts. `facts` is the planner's estimate; `bytes` with indexes."""

    start: date
    facts: int
    bytes: int

    @property
    def name(self) -> str:
        """The table, without its schema."""
        return _name(self.start)


def ensure(session: Session, months: Iterable[date]) -> list[date]:
    """Makes those months (any day of each) that there are not; returns them."""
    wanted = {_name(start): start for start in sorted({month_start(month) for month in months})}
    if not _missing(session, wanted):
        return []
    session.execute(_LOCK)  # whoever waited here finds them made
    made = [wanted[name] for name in _missing(session, wanted)]
    for start in made:
        session.execute(text(_MAKE.format(name=_name(start))))
        session.execute(text(_ATTACH.format(name=_name(start), start=start, end=next_month(start))))
    return made


def _missing(session: Session, wanted: dict[str, date]) -> Sequence[str]:
    return session.scalars(_MISSING, {"names": list(wanted)}).all()


def months(session: Session) -> list[Month]:
    """All that there are, oldest first."""
    return [Month(_start(row.name), row.facts, row.bytes) for row in session.execute(_ALL)]


def drop(session: Session, month: Month) -> None:
    """Drops one month with all its facts. Waits for three seconds at most for those who read or write facts: whoever
    comes after it waits too. Raises OperationalError where that was not enough."""
    session.execute(text("SET LOCAL lock_timeout = '3s'"))
    session.execute(text(f"DROP TABLE analytics.{month.name}"))
    session.execute(text("SET LOCAL lock_timeout = DEFAULT"))


def instant(month: date) -> datetime:
    """The moment at which a month begins, here where all months are UTC's."""
    return datetime.combine(month, time(), UTC)


def _name(start: date) -> str:
    return f"facts_{start:%Y_%m}"


def _start(name: str) -> date:
    return datetime.strptime(f"{name}_01", "facts_%Y_%m_%d").replace(tzinfo=UTC).date()
