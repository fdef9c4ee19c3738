"""All transitions of a job but the dispatcher's (`job_dispatch.py`). Each is one conditional statement.

`session` is the caller's transaction; nothing here commits. Times are the database's: nodes may disagree about now.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Text, bindparam, cast, func, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import channels, event_store
from huntaze.models.base import new_id
from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import ENDED, AttemptOutcome, Job, JobAttempt, JobState
from huntaze.pipelines.errors import Permanent


class LeaseLost(Exception):
    """The row belongs to somebody else by now: nothing may be written in its name."""


class KeyReused(Permanent):
    """A dedupe key came again with another request behind it."""


@dataclass(frozen=True)
class Enqueued:
    """The row that stands for the request, and whether this call made it."""

    job: Job
    created: bool


def enqueue(
    session: Session,
    args: JobArgs,
    *,
    creator_id: uuid.UUID | None = None,
    subject_id: uuid.UUID | None = None,
    parent_id: uuid.UUID | None = None,
    run_at: datetime | None = None,
    priority: int = 0,
    flow_key: str | None = None,
    dedupe_key: str | None = None,
    fingerprint: str | None = None,
) -> Enqueued:
    """Inserts a waiting job, due at `run_at` (default: now).

    With a `dedupe_key` that is taken, returns the row that has it; raises KeyReused if that row was asked for by a
    request with another `fingerprint`.
    """
    kind = KINDS[args.kind]
    row: dict[str, Any] = {
        "id": new_id(),
        "kind": args.kind,
        "args": args.model_dump(mode="json"),
        "args_version": args.version,
        "queue": kind.queue,
        "priority": priority,
        "flow_key": flow_key or str(creator_id or args.kind),
        "creator_id": creator_id,
        "subject_id": subject_id,
        "parent_id": parent_id,
        "max_attempts": kind.max_attempts,
        "dedupe_key": dedupe_key,
        "fingerprint": fingerprint,
    }
    if run_at is not None:
        row |= {"run_at": run_at, "ready": False}
    statement = insert(Job).values(row).on_conflict_do_nothing(index_elements=[Job.dedupe_key]).returning(Job)
    job = session.scalars(statement).one_or_none()
    if job is None:
        job = session.scalars(select(Job).where(Job.dedupe_key == dedupe_key)).one()
        if job.fingerprint != fingerprint:
            raise KeyReused("request.key_reused", "This Idempotency-Key was used for another request; use a new one.")
        return Enqueued(job, created=False)
    if run_at is None:
        wake_dispatcher(session)
    return Enqueued(job, created=True)


def wake_dispatcher(session: Session) -> None:
    """Tells the dispatchers, at the commit, that something is due."""
    session.execute(select(func.pg_notify(channels.JOBS, "")))


# One statement, so that a claim is one round trip on an autocommit connection.
_CLAIM = text("""
    WITH claimed AS (
        UPDATE jobs
        SET state = 'running', attempt = attempt + 1, worker = :worker,
            lease_until = clock_timestamp() + make_interval(secs => :lease_s),
            started_at = coalesce(started_at, clock_timestamp())
        WHERE id = :id AND state = 'queued' AND args_version <= :version
        RETURNING *
    ), noted AS (
        INSERT INTO job_attempts (job_id, attempt, worker, started_at)
        SELECT id, attempt, worker, clock_timestamp() FROM claimed
    )
    SELECT * FROM claimed
""").bindparams(bindparam("worker", type_=Text))


def claim(session: Session, job_id: uuid.UUID, worker: str, lease_s: float, version: int = 1) -> Job | None:
    """Takes a queued job for this worker, if its arguments are of `version` or older.

    None: a duplicate or late message, or arguments too new for us (see `decline`); there is nothing to do.
    """
    given = {"id": job_id, "worker": worker, "lease_s": lease_s, "version": version}
    return session.scalars(select(Job).from_statement(_CLAIM), given).one_or_none()


_DECLINE = text("""
    UPDATE jobs SET state = 'waiting', ready = false, run_at = clock_timestamp() + interval '1 second'
    WHERE id = :id AND state = 'queued' AND args_version > :version
""")


def decline(session: Session, job_id: uuid.UUID, version: int = 0) -> bool:
    """queued -> waiting, for a worker that got a job it does not know: a newer deploy's kind (0) or arguments.

    The second's pause keeps an old node from getting it again at once, over and over. False: it was something else.
    """
    declined: int = session.execute(_DECLINE, {"id": job_id, "version": version}).rowcount  # type: ignore[attr-defined]
    return declined > 0


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


def tell(session: Session, job: Job) -> None:
    """Writes the event of the state that the job has just reached. A job without a creator has nobody to tell."""
    if job.creator_id is not None:
        data: dict[str, Any] = {
            "kind": job.kind,
            "state": job.state,
            "attempt": job.attempt,
            "progress": job.progress,
            "stage": job.stage,
        }
        if job.subject_id is not None:
            data["subject_id"] = str(job.subject_id)
        if job.state == JobState.FAILED or (job.state == JobState.WAITING and job.error_code):
            data["error"] = {"code": job.error_code, "message": job.error_message}
        name = "retrying" if job.state == JobState.WAITING else job.state
        event_store.emit(session, job.creator_id, f"job.{name}", job.id, data)


def follow(session: Session, job: Job) -> None:
    """Lets the row that the job works on follow a move which the job's own handler did not make, and tells it."""
    kind = KINDS.get(job.kind)
    if kind is not None and kind.follow is not None:
        kind.follow(session, job)
    tell(session, job)


@dataclass(frozen=True)
class AttemptEnd:
    """What is kept of an attempt. `stages`: [{name, seconds}]; `trace`: for operators, may be a traceback."""

    stages: list[dict[str, Any]]
    error_code: str | None = None
    error_message: str | None = None
    trace: str | None = None

    def columns(self) -> Mapping[str, Any]:
        return {"stages": self.stages, "error_code": self.error_code, "error": self.trace or self.error_message}


def succeed(
    session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd, result: dict[str, Any] | None = None
) -> Job:
    """running -> succeeded, in the transaction that also writes the results. Raises LeaseLost."""
    job = _leave_running(
        session,
        job_id,
        attempt,
        state=JobState.SUCCEEDED,
        finished_at=func.clock_timestamp(),
        progress=1.0,
        result=result,
        error_code=None,
        error_message=None,
    )
    _end_attempt(session, job, AttemptOutcome.SUCCEEDED, **end.columns())
    tell(session, job)
    return job


def retry_later(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd, delay_s: float) -> Job:
    """running -> waiting, due in `delay_s` seconds; or -> failed if that was the last attempt. Raises LeaseLost."""
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
    if job.errors >= job.max_attempts:
        return _shelve(session, job, end)
    _end_attempt(session, job, AttemptOutcome.RETRIED, **end.columns())
    tell(session, job)
    return job


def snooze(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd, delay_s: float) -> Job:
    """running -> waiting, due in `delay_s` seconds: the handler asked for it; costs nothing. Raises LeaseLost."""
    run_at = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, delay_s)
    job = _leave_running(session, job_id, attempt, state=JobState.WAITING, ready=False, run_at=run_at)
    _end_attempt(session, job, AttemptOutcome.SNOOZED, **end.columns())
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


def db_now(session: Session) -> datetime:
    """The database's clock: the only one that leases and due times are measured by."""
    with session.no_autoflush:  # a caller may be half way through a move that the constraints forbid
        now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def end_now(session: Session, job: Job, state: JobState) -> None:
    """Moves a locked row to an end."""
    now = db_now(session)
    job.state, job.finished_at = state, now
    session.flush()


def stop_cancelled(session: Session, job_id: uuid.UUID, attempt: int, end: AttemptEnd) -> Job:
    """running -> cancelled, at the checkpoint that saw the request. Raises LeaseLost."""
    job = _leave_running(session, job_id, attempt, state=JobState.CANCELLED, finished_at=func.clock_timestamp())
    _end_attempt(session, job, AttemptOutcome.CANCELLED, **end.columns())
    follow(session, job)
    return job


_HAND_BACK = text("""
    WITH back AS (
        UPDATE jobs SET state = 'waiting', ready = true, lease_until = NULL, worker = NULL, run_at = clock_timestamp()
        WHERE state = 'running' AND starts_with(worker, :node)
        RETURNING id, attempt
    ), noted AS (
        UPDATE job_attempts AS a SET ended_at = clock_timestamp(), outcome = 'handed_back'
        FROM back WHERE a.job_id = back.id AND a.attempt = back.attempt
    )
    SELECT id FROM back
""")


def hand_back(session: Session, node: str) -> list[uuid.UUID]:
    """running -> waiting for all that a stopping node still holds: due at once, and no attempt is counted.

    The node need not stop first: the fence turns whatever its processes still write into nothing.
    """
    ids = list(session.scalars(_HAND_BACK, {"node": f"{node}/"}))
    if ids:
        wake_dispatcher(session)
    return ids


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


def owned(creator_id: uuid.UUID | None) -> ColumnElement[bool]:
    """The scope of a query: one creator's rows, or all rows for an operator."""
    return true() if creator_id is None else Job.creator_id == creator_id


def cancel(session: Session, job_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Job | None:
    """Cancels a waiting or queued job at once, asks a running one to stop at its next checkpoint.

    Ended jobs stay as they are: cancelling twice is no mistake. None: no such job for this creator.
    """
    job = session.scalars(select(Job).where(Job.id == job_id, owned(creator_id)).with_for_update()).one_or_none()
    if job is None or job.state in ENDED:
        return job
    job.cancel_requested_at = db_now(session)
    if job.state != JobState.RUNNING:
        end_now(session, job, JobState.CANCELLED)
        follow(session, job)
    return job


def replay(session: Session, job_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Job | None:
    """failed -> waiting, with its counts of errors and crashes set back. None: no such job for this creator.

    Raises Permanent (`job.not_failed`) if the job is not on the shelf.
    """
    job = session.scalars(select(Job).where(Job.id == job_id, owned(creator_id)).with_for_update()).one_or_none()
    if job is None:
        return None
    if job.state != JobState.FAILED:
        raise Permanent("job.not_failed", f"Only a failed job can be retried; this one is {job.state}.")
    now = db_now(session)
    job.run_at, job.ready = now, True
    job.state, job.finished_at, job.errors, job.crashes, job.progress = JobState.WAITING, None, 0, 0, 0.0
    job.error_code = job.error_message = job.cancel_requested_at = job.stage = None
    session.flush()
    follow(session, job)
    wake_dispatcher(session)
    return job


def attempts_of(session: Session, job_id: uuid.UUID) -> list[RowMapping]:
    """The attempts of a job, oldest first."""
    query = select(JobAttempt.__table__).where(JobAttempt.job_id == job_id).order_by(JobAttempt.attempt)
    return list(session.execute(query).mappings())


def get(session: Session, job_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Job | None:
    """One job, if it is this creator's; any job for an operator (None)."""
    return session.scalars(select(Job).where(Job.id == job_id, owned(creator_id))).one_or_none()


def search(
    session: Session,
    *,
    creator_id: uuid.UUID | None = None,
    state: JobState | None = None,
    kind: str | None = None,
    error_code: str | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> list[Job]:
    """Jobs, newest first, below the cursor `before`."""
    query = select(Job).where(owned(creator_id)).order_by(Job.id.desc()).limit(limit)
    for column, value in ((Job.state, state), (Job.kind, kind), (Job.error_code, error_code)):
        if value is not None:
            query = query.where(cast(column, Text) == value)
    if before is not None:
        query = query.where(Job.id < before)
    return list(session.scalars(query))
