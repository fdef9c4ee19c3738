"""Reads of the ledger that are no transitions: searches, figures for the metrics."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Text, bindparam, cast, or_, select, text
from sqlalchemy.orm import Session

from huntaze.models.job_args import PeriodicArgs
from huntaze.models.job_kinds import KINDS
from huntaze.models.job_store import owned
from huntaze.models.jobs import Job, JobState

# The start of an id is the time by the clock of the node that made it, created_at is the database's. A search by time
# means created_at; to find it by the index on ids it also bounds the ids, with this much room for wrong clocks.
CLOCK_SKEW = timedelta(minutes=10)
_EPOCH = datetime.fromtimestamp(0, UTC)


def search(
    session: Session,
    *,
    creator_id: uuid.UUID | None = None,
    state: JobState | None = None,
    kind: str | None = None,
    error_code: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> list[Job]:
    """Jobs, newest first, below the cursor `before`; created in [created_after, created_before).

    Each condition is in the words of an index: the planner takes a partial one for its own predicate only.
    """
    query = select(Job).where(owned(creator_id)).order_by(Job.id.desc()).limit(limit)
    if state is not None:
        query = query.where(_in_state(state))
    if kind is not None:
        query = query.where(cast(Job.kind, Text) == kind)
        if kind in KINDS and issubclass(KINDS[kind].args, PeriodicArgs):
            query = query.where(Job.creator_id.is_(None))  # the clock's jobs are nobody's, and have an index
    if error_code is not None:
        query = query.where(cast(Job.error_code, Text) == error_code)
    if created_after is not None:
        query = query.where(Job.created_at >= created_after, Job.id >= _id_at(created_after, -CLOCK_SKEW))
    if created_before is not None:
        query = query.where(Job.created_at < created_before, Job.id < _id_at(created_before, CLOCK_SKEW))
    if before is not None:
        query = query.where(Job.id < before)
    return list(session.scalars(query))


def _in_state(state: JobState) -> ColumnElement[bool]:
    """The state as a literal: a plan that is kept for all states could use no partial index."""
    same = Job.state == bindparam(None, state.value, Text, unique=True, literal_execute=True)
    # What waits is in one of two indexes, by whether its time has come.
    return or_(same & Job.ready, same & ~Job.ready) if state == JobState.WAITING else same


def _id_at(moment: datetime, shift: timedelta) -> uuid.UUID:
    """The smallest UUIDv7 (RFC 9562: 48 bits of milliseconds come first) of a moment that is shifted."""
    milliseconds = (moment - _EPOCH + shift) // timedelta(milliseconds=1)
    return uuid.UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)


@dataclass(frozen=True)
class Backlog:
    """The live jobs of one queue in one state. `due`: those that could have started. `oldest_due_s`: seconds since the
    oldest of them became due, `latency_s`: the same without queues and kinds that are paused; 0.0 if there is none."""

    queue: str
    state: str
    jobs: int
    due: int
    oldest_due_s: float
    latency_s: float


# A branch for each partial index, with constants as in its predicate: the planner takes it for nothing else, and ended
# jobs, which are nearly all rows, are never touched.
_BACKLOG = text("""
    SELECT queue, state, count(*) AS jobs, count(*) FILTER (WHERE due) AS due,
           coalesce(extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE due)), 0)::float8 AS oldest_due_s,
           coalesce(extract(epoch FROM clock_timestamp() - min(run_at) FILTER (
               WHERE due AND queue NOT IN (SELECT name FROM pauses WHERE scope = 'queue')
                 AND kind NOT IN (SELECT name FROM pauses WHERE scope = 'kind')
           )), 0)::float8 AS latency_s
    FROM (
        SELECT queue, kind, 'waiting' AS state, run_at, true AS due FROM jobs WHERE state = 'waiting' AND ready
        UNION ALL SELECT queue, kind, 'waiting', run_at, run_at <= clock_timestamp()
        FROM jobs WHERE state = 'waiting' AND NOT ready
        UNION ALL SELECT queue, kind, 'queued', run_at, true FROM jobs WHERE state = 'queued'
        UNION ALL SELECT queue, kind, 'running', run_at, false FROM jobs WHERE state = 'running'
    ) AS live
    GROUP BY queue, state
""")


def backlog(session: Session) -> Sequence[Backlog]:
    """Live jobs by queue and state, with the age of the oldest that is due and has not started."""
    rows = session.execute(_BACKLOG)
    return [
        Backlog(row.queue, row.state, row.jobs, row.due, max(row.oldest_due_s, 0.0), max(row.latency_s, 0.0))
        for row in rows
    ]
