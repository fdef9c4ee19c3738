"""How an attempt ends, and what its holder may say meanwhile. Each is fenced by the attempt number.

`session` is the caller's transaction; nothing here commits. Times are the database's: nodes may disagree about now.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from huntaze.models import channels, event_store
from huntaze.models.base import new_id
from huntaze.models.job_enqueue import wake_dispatcher
from huntaze.models.job_kinds import KINDS
from huntaze.models.job_store import EVENT_DATA, cancel, end_now, follow, tell
from huntaze.models.jobs import AttemptOutcome, Job, JobAttempt, JobState


class LeaseLost(Exception):
    """The row belongs to somebody else by now: nothing may be written in its name."""


class CancelRequested(Exception):
    """Somebody asked this job to stop."""


def _held(job_id: uuid.UUID, attempt: int) -> ColumnElement[bool]:
    return (Job.id == job_id) & (Job.state == JobState.RUNNING) & (Job.attempt == attempt)


def _leave_running(session: Session, job_id: uuid.UUID, attempt: int, **values: Any) -> Job:
    """The fence: moves the row out of `running` if this attempt still holds it, else raises LeaseLost."""
    statement = update(Job).where(_held(job_id, attempt)).values(lease_until=None, worker=None, **values).returning(Job)
    job = session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        raise LeaseLost(f"job {job_id}, attempt {attempt}")
    return job


def _end_attempt(session: Session, job: Job, outcome: AttemptOutcome, **values: Any) -> None:
    session.execute(
        update(JobAttempt)
        .where(JobAttempt.job_id == job.id, JobAttempt.attempt == job.attempt)
        .values(ended_at=func.clock_timestamp(), outcome=outcome, **values)
    )


@dataclass(frozen=True)
class AttemptEnd:
    """What is kept of an attempt. `stages`: [{name, seconds}]; `trace`: for operators, a traceback or a detail."""

    stages: list[dict[str, Any]]
    error_code: str | None = None
    error_message: str | None = None
    trace: str | None = None

    def columns(self) -> Mapping[str, Any]:
        """As columns of job_attempts. PostgreSQL takes neither NUL nor half a surrogate pair; tracebacks hold both."""
        error = self.trace or self.error_message
        storable = None if error is None else error.replace("\0", "\\0").encode(errors="backslashreplace").decode()
        return {"stages": self.stages, "error_code": self.error_code, "error": storable}


# One statement for job, attempt and event: every job ends here, and most of a short one's time is spent on statements.
_SUCCEED = text(f"""
    WITH done AS (
        UPDATE jobs
        SET state = 'succeeded', finished_at = clock_timestamp(), progress = 1, lease_until = NULL, worker = NULL,
            error_code = NULL, error_message = NULL
        WHERE id = :id AND state = 'running' AND attempt = :attempt AND cancel_requested_at IS NULL
        RETURNING *
    ), noted AS (
        UPDATE job_attempts SET ended_at = clock_timestamp(), outcome = 'succeeded', stages = :stages
        FROM done WHERE job_attempts.job_id = done.id AND job_attempts.attempt = done.attempt
    ), told AS (
        INSERT INTO events (id, creator_id, type, subject_id, data)
        SELECT :event_id, creator_id, 'job.succeeded', id, {EVENT_DATA} FROM done WHERE creator_id IS NOT NULL
    )
    SELECT CASE WHEN creator_id IS NOT NULL THEN pg_notify('{channels.EVENTS_WRITTEN}', '') END FROM done
""").bindparams(bindparam("stages", type_=JSONB))  # noqa: S608 - constants of ours


def succeed(connection: Connection | Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd) -> None:
    """running -> succeeded, in the transaction that also writes the results. Raises LeaseLost, CancelRequested.

    A cancel that came before the end is obeyed, however late: what would follow from a success must not happen.
    """
    given = {"id": job_id, "attempt": attempt, "stages": end.stages, "event_id": new_id()}
    if connection.execute(_SUCCEED, given).one_or_none() is None:
        held = connection.execute(select(Job.id).where(_held(job_id, attempt))).one_or_none()
        raise CancelRequested if held else LeaseLost(f"job {job_id}, attempt {attempt}")


def save_result(session: Session, job_id: uuid.UUID, result: Mapping[str, Any]) -> None:
    """What a job leaves in its own row; in the transaction that `succeed` has begun."""
    session.execute(update(Job).where(Job.id == job_id).values(result=dict(result)))


def retry_later(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd, delay_s: float) -> Job:
    """running -> waiting, due in `delay_s` seconds; -> failed if that was the last attempt; -> cancelled if somebody
    asked for that meanwhile. Raises LeaseLost."""
    job = _leave_running(
        session,
        job_id,
        attempt,
        state=JobState.WAITING,
        ready=False,
        errors=Job.errors + 1,
        run_at=func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, delay_s),
        error_code=end.error_code,
        error_message=end.error_message,
    )
    if job.cancel_requested_at is None and job.errors >= job.max_attempts:
        return _shelve(session, job, end)
    _end_attempt(session, job, AttemptOutcome.RETRIED, **end.columns())
    if job.cancel_requested_at is not None:
        cancel(session, job.id)
    else:
        tell(session, job)
    return job


def snooze(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd, delay_s: float) -> Job:
    """running -> waiting, due in `delay_s` seconds: it is too early, and costs nothing. Raises LeaseLost."""
    run_at = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, delay_s)
    job = _leave_running(session, job_id, attempt, state=JobState.WAITING, ready=False, run_at=run_at)
    _end_attempt(session, job, AttemptOutcome.SNOOZED, **end.columns())
    if job.cancel_requested_at is not None:
        cancel(session, job.id)
    return job


def fail(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd) -> Job:
    """running -> failed, for good: trying again cannot help. Raises LeaseLost."""
    job = _leave_running(session, job_id, attempt, state=JobState.WAITING, errors=Job.errors + 1)
    return _shelve(session, job, end)


def _shelve(session: Session, job: Job, end: AttemptEnd) -> Job:
    job.error_code, job.error_message = end.error_code, end.error_message
    end_now(session, job, JobState.FAILED)
    _end_attempt(session, job, AttemptOutcome.FAILED, **end.columns())
    follow(session, job)
    return job


def stop_cancelled(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd) -> Job:
    """running -> cancelled, at the checkpoint that saw the request. Raises LeaseLost."""
    job = _leave_running(session, job_id, attempt, state=JobState.CANCELLED, finished_at=func.clock_timestamp())
    _end_attempt(session, job, AttemptOutcome.CANCELLED, **end.columns())
    follow(session, job)
    return job


_HAND_BACK = text("""
    WITH back AS (
        UPDATE jobs SET state = 'waiting', ready = true, lease_until = NULL, worker = NULL
        WHERE state = 'running' AND starts_with(worker, :node)
        RETURNING id, attempt, cancel_requested_at
    ), noted AS (
        UPDATE job_attempts AS a SET ended_at = clock_timestamp(), outcome = 'handed_back'
        FROM back WHERE a.job_id = back.id AND a.attempt = back.attempt
    )
    SELECT id, cancel_requested_at IS NOT NULL AS cancelled FROM back
""")


def hand_back(session: Session, node: str) -> list[uuid.UUID]:
    """running -> waiting for all that a stopping node still holds: due at once, at
    its old place, and no attempt is counted.

    The node need not stop first: the fence turns whatever its processes still write into nothing.
    """
    rows = session.execute(_HAND_BACK, {"node": f"{node}/"}).all()
    for row in rows:
        if row.cancelled:
            cancel(session, row.id)
    if rows:
        wake_dispatcher(session)
    return [row.id for row in rows]


_RENEW = text("""
    UPDATE jobs
    SET lease_until = clock_timestamp() + make_interval(secs => :lease_s)
    FROM unnest(cast(:ids AS uuid[]), cast(:attempts AS int[])) AS held (id, attempt)
    WHERE jobs.id = held.id AND jobs.attempt = held.attempt AND jobs.state = 'running'
    RETURNING jobs.id, jobs.cancel_requested_at IS NOT NULL AS cancelled
""")


def renew(session: Session, held: Mapping[uuid.UUID, int], lease_s: float) -> dict[uuid.UUID, bool]:
    """Renews the leases of {job id: attempt}. Returns {job id: cancel requested}; who is missing has lost the row."""
    rows = session.execute(_RENEW, {"ids": list(held), "attempts": list(held.values()), "lease_s": lease_s})
    return {row.id: row.cancelled for row in rows}


def report_progress(session: Session, job_id: uuid.UUID, attempt: int, progress: float, stage: str) -> bool:
    """Notes how far a running job is, and tells it. False: the row is no longer ours, or a cancel was asked for."""
    statement = update(Job).where(_held(job_id, attempt)).values(progress=progress, stage=stage).returning(Job)
    job = session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        return False
    kind = KINDS[job.kind]
    if kind.follow is not None:
        kind.follow(session, job)
    if job.creator_id is not None:
        data = {"kind": job.kind, "progress": progress, "stage": stage, "subject_id": _text(job.subject_id)}
        event_store.emit(session, job.creator_id, "job.progress", job.id, data)
    return job.cancel_requested_at is None


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)
