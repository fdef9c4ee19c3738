"""The dispatcher's SQL, second half: jobs whose worker is gone."""

import uuid
from collections.abc import Iterable

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import job_enqueue, job_store
from huntaze.models.jobs import AttemptOutcome, Job, JobAttempt, JobState

MAX_CRASHES = 3  # a job that took its worker down this often is a poison pill


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
        job_enqueue.wake_dispatcher(session)
    return list(expired)


_EXPIRE = text("""
    UPDATE jobs SET lease_until = clock_timestamp()
    WHERE id = :id AND state = 'running' AND starts_with(worker, :node)
      AND NOT EXISTS (SELECT FROM unnest(cast(:alive AS text[])) AS process WHERE starts_with(worker, process))
""")


def expire(session: Session, job_id: uuid.UUID, node: str, alive: Iterable[int]) -> bool:
    """Ends the lease of a job whose process died, as its node has seen: the rescue need not wait for it to run out.

    `alive`: the processes (pids) of the node that live; a job that one of them holds by now is not touched.
    """
    given = {"id": job_id, "node": f"{node}/", "alive": [f"{node}/{pid}." for pid in alive]}
    expired: int = session.execute(_EXPIRE, given).rowcount  # type: ignore[attr-defined]
    if expired:
        job_enqueue.wake_dispatcher(session)
    return expired > 0


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
    cancelled = job.cancel_requested_at is not None
    job.crashes += 1
    job.lease_until = job.worker = None
    if cancelled:
        job_store.end_now(session, job, JobState.CANCELLED)
    elif job.crashes >= MAX_CRASHES:
        job.error_code = "crashed"
        job.error_message = f"The worker died {job.crashes} times while it ran this job."
        job_store.end_now(session, job, JobState.FAILED)
    else:
        job.ready, job.state = True, JobState.WAITING  # at its old place in its lane: run_at stays
        session.flush()
    job_store.follow(session, job)
