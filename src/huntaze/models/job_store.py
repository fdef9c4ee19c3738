"""A job from outside: cancel, replay, tell. It comes by `job_enqueue.py`, starts by `job_claim.py`, ends by
`job_settle.py`.

`session` is the caller's transaction; nothing here commits. Times are the database's: nodes may disagree about now.
"""

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, func, select, text, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from huntaze.models import event_store, tally
from huntaze.models.base import new_id
from huntaze.models.job_enqueue import wake_dispatcher
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import ENDED, Job, JobAttempt, JobState
from huntaze.pipelines.errors import Permanent

# What an event says of the job's row, in terms of its columns.
EVENT_DATA = """
    jsonb_build_object('kind', kind, 'state', state, 'attempt', attempt, 'progress', progress, 'stage', stage)
    || CASE WHEN subject_id IS NULL THEN '{}' ELSE jsonb_build_object('subject_id', subject_id) END
    || CASE WHEN state = 'failed' OR state = 'waiting' AND error_code IS NOT NULL
       THEN jsonb_build_object('error', jsonb_build_object('code', error_code, 'message', error_message))
       ELSE '{}' END
"""
_TELL = text(f"""
    INSERT INTO events (id, creator_id, type, subject_id, data)
    SELECT :event_id, creator_id, 'job.' || CASE state WHEN 'waiting' THEN 'retrying' ELSE state END, id, {EVENT_DATA}
    FROM jobs WHERE id = :id AND creator_id IS NOT NULL
""")  # noqa: S608 - constants of ours


def tell(session: Session, job: Job) -> None:
    """Writes the event of the state that the job has just reached. A job without a creator has nobody to tell."""
    if job.creator_id is not None:
        session.flush()
        session.execute(_TELL, {"event_id": new_id(), "id": job.id})
        event_store.wake_placer(session)


def follow(session: Session, job: Job) -> None:
    """Lets the row that the job works on follow a move which the job's own handler did not make, and tells it."""
    kind = KINDS.get(job.kind)
    if kind is not None and kind.follow is not None:
        kind.follow(session, job)
    if job.state == JobState.CANCELLED:
        tally.note(session, "cancelled", [job.kind])
    tell(session, job)


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

    Raises Permanent (`job.not_failed`) if the job is not on the shelf, or (`job.duplicate`) if meanwhile another job
    holds its unique key.
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
    unique_key = job.unique_key
    try:
        session.flush()
    except IntegrityError:
        if unique_key is None:
            raise
        raise Permanent("job.duplicate", "The same work is under way, or done, in another job.") from None
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
