"""How a worker takes a job, and gives one back that it does not know."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Text, bindparam, text
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Claimed:
    """A job as its holder got it; `attempt` is the fencing token. `waited_s`: seconds from due to claimed; `before`:
    how the attempt before ended."""

    id: uuid.UUID
    kind: str
    args: dict[str, Any]
    args_version: int
    attempt: int
    errors: int
    priority: int
    creator_id: uuid.UUID | None
    subject_id: uuid.UUID | None
    trace: str | None
    waited_s: float
    before: str | None


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
    SELECT id, kind, args, args_version, attempt, errors, priority, creator_id, subject_id, trace,
           extract(epoch FROM clock_timestamp() - run_at)::float8 AS waited_s,
           CASE WHEN attempt > 1 THEN (
               SELECT outcome FROM job_attempts WHERE job_id = claimed.id AND job_attempts.attempt = claimed.attempt - 1
           ) END AS before
    FROM claimed
""").bindparams(bindparam("worker", type_=Text))


def claim(
    connection: Connection | Session, job_id: uuid.UUID, worker: str, lease_s: float, version: int = 1
) -> Claimed | None:
    """Takes a queued job for this worker, if its arguments are of `version` or older.

    None: a duplicate or late message, or arguments too new for us (see `decline`); there is nothing to do.
    """
    given = {"id": job_id, "worker": worker, "lease_s": lease_s, "version": version}
    row = connection.execute(_CLAIM, given).one_or_none()
    return None if row is None else Claimed(*row)


_DECLINE = text("""
    UPDATE jobs SET state = 'waiting', ready = false, run_at = clock_timestamp() + interval '1 second'
    WHERE id = :id AND state = 'queued' AND args_version > :version
""")


def decline(connection: Connection | Session, job_id: uuid.UUID, version: int = 0) -> bool:
    """queued -> waiting, for a worker that got a job it does not know: a newer deploy's kind (0) or arguments.

    The second's pause keeps an old node from getting it again at once, over and over. False: it was something else.
    """
    declined: int = connection.execute(_DECLINE, {"id": job_id, "version": version}).rowcount  # type: ignore[attr-defined]
    return declined > 0
