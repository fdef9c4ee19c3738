"""The dispatcher's SQL: due rows out to the broker, lost rows back. Any number of dispatchers may run at once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import job_store
from huntaze.models.jobs import AttemptOutcome, Job, JobAttempt, JobState

MAX_CRASHES = 3  # a job that took its worker down this often is a poison pill


@dataclass(frozen=True)
class Hint:
    """What a message carries: which row is ready, and where its kind is run."""

    job_id: uuid.UUID
    kind: str
    queue: str


@dataclass(frozen=True)
class Taken:
    """One queue's turn. `full`: the broker holds as many of its jobs as it may, so more may be waiting."""

    hints: list[Hint]
    full: bool


_WITH_BROKER = text("""
    SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND queue = :queue LIMIT :depth) AS queued
""")
# SKIP LOCKED: two dispatchers share the backlog instead of waiting for one another.
_DISPATCH = text("""
    UPDATE jobs SET state = 'queued', queued_at = clock_timestamp()
    WHERE id IN (
        SELECT id FROM jobs
        WHERE state = 'waiting' AND queue = :queue AND run_at <= clock_timestamp()
        ORDER BY priority, run_at, id
        LIMIT :free FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, queue, priority, run_at
""")


def take_due(session: Session, queue: str, depth: int) -> Taken:
    """waiting -> queued for the due jobs of a queue, until `depth` of its jobs are with the broker.

    The broker is kept shallow, because what lies there can no longer be put in order.
    """
    free = depth - int(session.execute(_WITH_BROKER, {"queue": queue, "depth": depth}).scalar_one())
    if free <= 0:
        return Taken([], full=True)
    rows = session.execute(_DISPATCH, {"queue": queue, "free": free})
    in_order = sorted(rows, key=lambda row: (row.priority, row.run_at, row.id))  # RETURNING promises none
    hints = [Hint(row.id, row.kind, row.queue) for row in in_order]
    return Taken(hints, full=len(hints) >= free)


_OVERDUE = text("""
    UPDATE jobs SET queued_at = clock_timestamp()
    WHERE id IN (
        SELECT id FROM jobs
        WHERE state = 'queued' AND queued_at < clock_timestamp() - make_interval(secs => :older_s)
        ORDER BY queued_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, queue
""")


def take_overdue(session: Session, older_s: float, limit: int = 1000) -> list[Hint]:
    """Queued jobs whose hint nobody followed for `older_s` seconds: they are to be sent again."""
    rows = session.execute(_OVERDUE, {"older_s": older_s, "limit": limit})
    return [Hint(row.id, row.kind, row.queue) for row in rows]


def put_back(session: Session, ids: Sequence[uuid.UUID]) -> None:
    """queued -> waiting for jobs whose hints could not be sent."""
    session.execute(update(Job).where(Job.id.in_(ids), Job.state == JobState.QUEUED).values(state=JobState.WAITING))


def rescue(session: Session, limit: int = 100) -> list[Job]:
    """running -> waiting for jobs whose lease ran out, counting a crash; the third shelves the job as `crashed`."""
    expired = session.scalars(
        select(Job)
        .where(Job.state == JobState.RUNNING, Job.lease_until < func.clock_timestamp())
        .order_by(Job.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for job in expired:
        _end_crashed(session, job)
    if expired:
        job_store.wake_dispatcher(session)
    return list(expired)


def _end_crashed(session: Session, job: Job) -> None:
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job_id == job.id, JobAttempt.attempt == job.attempt)
        .values(
            ended_at=func.clock_timestamp(),
            outcome=AttemptOutcome.CRASHED,
            error_code="crashed",
            error=f"The lease of {job.worker} ran out.",
        )
    )
    now = job_store.db_now(session)
    job.crashes += 1
    cancelled = job.cancel_requested_at is not None
    job.lease_until = job.worker = None
    if cancelled:
        job_store.end_now(session, job, JobState.CANCELLED)
    elif job.crashes >= MAX_CRASHES:
        job.error_code = "crashed"
        job.error_message = f"The worker died {job.crashes} times while it ran this job."
        job_store.end_now(session, job, JobState.FAILED)
    else:
        job.run_at, job.state = now, JobState.WAITING
        session.flush()
    job_store.follow(session, job)
