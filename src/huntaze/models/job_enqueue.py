"""How a job comes into the ledger.

`session` is the caller's transaction; nothing here commits. Times are the database's: nodes may disagree about now.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import channels
from huntaze.models.base import new_id
from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job
from huntaze.pipelines.errors import Permanent


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
