"""Reads of the ledger that are no transitions: repeats of a request, figures for the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models.job_enqueue import KeyReused
from huntaze.models.jobs import Job


def find_request(session: Session, dedupe_key: str, fingerprint: str) -> Job | None:
    """The job that a request with this key has brought before; None if it is the first.

    Raises KeyReused if the key was taken by a request with another `fingerprint`.
    """
    job = session.scalars(select(Job).where(Job.dedupe_key == dedupe_key)).one_or_none()
    if job is not None and job.fingerprint != fingerprint:
        raise KeyReused("request.key_reused", "This Idempotency-Key was used for another request; use a new one.")
    return job


@dataclass(frozen=True)
class Backlog:
    """The live jobs of one queue in one state. `oldest_due_s`: seconds since the oldest became due; 0.0 if none is."""

    queue: str
    state: str
    jobs: int
    oldest_due_s: float


# Three branches with one constant state each: the planner takes a partial index only for its own predicate, and
# ended jobs, which are nearly all rows, are never touched.
_BACKLOG = text("""
    SELECT queue, state, count(*) AS jobs,
           coalesce(extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE due)), 0)::float8 AS oldest_due_s
    FROM (
        SELECT queue, 'waiting' AS state, run_at, run_at <= clock_timestamp() AS due
        FROM jobs WHERE state = 'waiting'
        UNION ALL SELECT queue, 'queued', run_at, true FROM jobs WHERE state = 'queued'
        UNION ALL SELECT queue, 'running', run_at, false FROM jobs WHERE state = 'running'
    ) AS live
    GROUP BY queue, state
""")


def backlog(session: Session) -> Sequence[Backlog]:
    """Live jobs by queue and state, with the age of the oldest that is due and has not started."""
    rows = session.execute(_BACKLOG)
    return [Backlog(row.queue, row.state, row.jobs, max(row.oldest_due_s, 0.0)) for row in rows]
