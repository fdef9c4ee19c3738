"""All SQL of batches: many jobs at once, and one thing that happens when the last of them has ended.

Nothing is counted while jobs end: they know of no batch. The dispatcher looks for open batches without a live job.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pydantic import ValidationError
from sqlalchemy import ColumnElement, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import event_store, job_cancel, job_enqueue
from huntaze.models.base import new_id
from huntaze.models.batches import Batch
from huntaze.models.job_args import JobArgs
from huntaze.models.job_enqueue import Enqueued, KeyReused, NewJob, WrittenArgs
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import LIVE, Job, JobState

_FRESH = {"populate_existing": True}


@dataclass(frozen=True)
class Counts:
    """What a batch came to: how the last job of each chain ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True)
class Created:
    """The batch that stands for the request, its jobs in the order of the requests, and whether this call made it.
    A repeat is not told the jobs."""

    batch: Batch
    jobs: list[Enqueued]
    created: bool


def create(
    session: Session,
    jobs: Sequence[NewJob],
    *,
    creator_id: uuid.UUID | None = None,
    name: str | None = None,
    follow_on: JobArgs | None = None,
    dedupe_key: str | None = None,
    fingerprint: str | None = None,
) -> Created:
    """Enqueues the jobs as one batch. `follow_on` is enqueued once all have ended, however they did, with its field
    `counts` set to theirs: {succeeded, failed, cancelled}.

    A job whose kind's `unique` rule has a job already stays out: that one is somebody else's, `total` does not count
    it. With a `dedupe_key` that is taken, returns the batch that has it; raises KeyReused if it came with another
    `fingerprint`, ValueError for a `follow_on` that takes no counts.
    """
    row = {
        "id": new_id(),
        "creator_id": creator_id,
        "name": name,
        "total": len(jobs),
        "dedupe_key": dedupe_key,
        "fingerprint": fingerprint,
        **_follow_on(follow_on),
    }
    statement = insert(Batch).values(row).on_conflict_do_nothing(index_elements=[Batch.dedupe_key]).returning(Batch)
    batch = session.scalars(statement).one_or_none()
    if batch is None:
        earlier = find_request(session, dedupe_key or "", fingerprint)
        assert earlier is not None
        return Created(earlier, [], created=False)
    made = job_enqueue.enqueue_many(session, [replace(job, batch_id=batch.id) for job in jobs])
    batch.total = sum(one.created for one in made)
    session.flush()
    return Created(batch, made, created=True)


def find_request(session: Session, dedupe_key: str, fingerprint: str | None) -> Batch | None:
    """The batch that a request with this key has brought before; None if it is the first. Raises KeyReused."""
    batch = session.scalars(select(Batch).where(Batch.dedupe_key == dedupe_key)).one_or_none()
    if batch is not None and batch.fingerprint != fingerprint:
        raise KeyReused
    return batch


def _follow_on(args: JobArgs | None) -> dict[str, object]:
    if args is None:
        return {}
    written = args.model_dump(mode="json", exclude={"counts"})
    try:  # now, while somebody is there who can be told
        type(args).model_validate({**written, "counts": asdict(Counts())})
    except ValidationError as error:
        raise ValueError(f"{args.kind} cannot follow a batch: it takes no counts") from error
    return {"follow_on_kind": args.kind, "follow_on_version": args.version, "follow_on_args": written}


# A job from which another one came is not the end of its chain, and does not count.
_ENDS = """
    FROM member WHERE id NOT IN (SELECT parent_id FROM member WHERE parent_id IS NOT NULL)
"""
_CLOSE = text(f"""
    WITH done AS (
        SELECT id FROM batches
        WHERE ended_at IS NULL AND (follow_on_kind IS NULL OR follow_on_kind = ANY(:kinds)) AND NOT EXISTS (
            SELECT FROM jobs WHERE jobs.batch_id = batches.id AND jobs.state IN ('waiting', 'queued', 'running')
        )
        ORDER BY id LIMIT :limit FOR UPDATE OF batches SKIP LOCKED
    ), member AS MATERIALIZED (
        SELECT id, parent_id, batch_id, state FROM jobs WHERE batch_id IN (SELECT id FROM done)
    ), counted AS (
        SELECT batch_id, count(*) AS jobs,
               count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
               count(*) FILTER (WHERE state = 'failed') AS failed,
               count(*) FILTER (WHERE state = 'cancelled') AS cancelled
        {_ENDS} GROUP BY batch_id
    )
    UPDATE batches
    SET ended_at = clock_timestamp(), succeeded = coalesce(counted.succeeded, 0), failed = coalesce(counted.failed, 0),
        cancelled = coalesce(counted.cancelled, 0), total = greatest(total, counted.jobs)
    FROM done LEFT JOIN counted ON counted.batch_id = done.id
    WHERE batches.id = done.id
    RETURNING batches.*
""")  # noqa: S608 - of constants
# A plan that was made while the tables were empty, and kept, would read all jobs for each batch.
_PLAN_ANEW = text("SET LOCAL plan_cache_mode = force_custom_plan")


def close(session: Session, limit: int = 100) -> list[Batch]:
    """Ends the open batches of which no job is live: counts, follow-ons and events in one transaction, once.

    What another dispatcher is at is passed over. A follow-on of a kind that this code does not know waits for a
    dispatcher that does.
    """
    session.execute(_PLAN_ANEW)
    given = {"kinds": list(KINDS), "limit": limit}
    ended = list(session.scalars(select(Batch).from_statement(_CLOSE), given, execution_options=_FRESH))
    followed = [batch for batch in ended if batch.follow_on_args is not None]
    made = job_enqueue.enqueue_many(session, [_follow_up(batch) for batch in followed])
    for batch, enqueued in zip(followed, made, strict=True):
        batch.follow_on_id = enqueued.job.id
    for batch in ended:
        if batch.creator_id is not None:
            data = {"name": batch.name, "total": batch.total, **asdict(counts_of(batch))}
            event_store.emit(session, batch.creator_id, "batch.ended", batch.id, data)
    session.flush()
    return ended


def counts_of(batch: Batch) -> Counts:
    """What an ended batch came to."""
    assert batch.succeeded is not None
    assert batch.failed is not None
    assert batch.cancelled is not None
    return Counts(batch.succeeded, batch.failed, batch.cancelled)


def _follow_up(batch: Batch) -> NewJob:
    assert batch.follow_on_kind is not None
    assert batch.follow_on_version is not None
    assert batch.follow_on_args is not None
    values = {**batch.follow_on_args, "counts": asdict(counts_of(batch))}
    args = WrittenArgs(batch.follow_on_kind, batch.follow_on_version, values)
    return NewJob(args, creator_id=batch.creator_id, subject_id=batch.id, dedupe_key=f"batch:{batch.id}")


_COUNT = text(f"""
    WITH member AS MATERIALIZED (SELECT id, parent_id, state FROM jobs WHERE batch_id = :batch_id)
    SELECT state, count(*) AS jobs {_ENDS} GROUP BY state
""")  # noqa: S608 - of constants


def count_states(session: Session, batch_id: uuid.UUID) -> dict[JobState, int]:
    """{state: jobs} of an open batch as it stands: of each chain the last job. States without a job are 0."""
    counts = {JobState(row.state): row.jobs for row in session.execute(_COUNT, {"batch_id": batch_id})}
    return {state: counts.get(state, 0) for state in JobState}


def cancel_some(session: Session, batch_id: uuid.UUID, limit: int = 100) -> int:
    """Cancels up to `limit` jobs of a batch, asks those that run to stop; returns how many it found: 0 when done.

    To be called until then, each in a transaction of its own: a job that finished meanwhile may have left a child.
    """
    left = select(Job.id).where(Job.batch_id == batch_id, Job.state.in_(LIVE), Job.cancel_requested_at.is_(None))
    ids = session.scalars(left.limit(limit)).all()
    job_cancel.cancel_many(session, ids)
    return len(ids)


def get(session: Session, batch_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Batch | None:
    """One batch, if it is this creator's; any batch for an operator (None)."""
    return session.scalars(select(Batch).where(Batch.id == batch_id, _owned(creator_id))).one_or_none()


def search(
    session: Session, *, creator_id: uuid.UUID | None = None, before: uuid.UUID | None = None, limit: int = 50
) -> list[Batch]:
    """Batches, newest first, below the cursor `before`."""
    query = select(Batch).where(_owned(creator_id)).order_by(Batch.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Batch.id < before)))


def jobs_of(session: Session, batch_id: uuid.UUID, *, before: uuid.UUID | None = None, limit: int = 50) -> list[Job]:
    """The jobs of a batch, newest first, below the cursor `before`: all of each chain."""
    query = select(Job).where(Job.batch_id == batch_id).order_by(Job.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Job.id < before)))


def _owned(creator_id: uuid.UUID | None) -> ColumnElement[bool]:
    return true() if creator_id is None else Batch.creator_id == creator_id
