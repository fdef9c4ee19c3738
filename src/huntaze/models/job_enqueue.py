"""How jobs come into the ledger: one statement for one or for thousands.

`session` is the caller's transaction; nothing here commits. Times are the database's: nodes may disagree about now.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze import tracing
from huntaze.models import channels, tally
from huntaze.models.base import new_id
from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import KINDS, Unique
from huntaze.models.jobs import HOLDS_UNIQUE_KEY, Job
from huntaze.pipelines.errors import Permanent


class KeyReused(Permanent):
    """A dedupe key came again with another request behind it."""

    def __init__(self) -> None:
        super().__init__("request.key_reused", "This Idempotency-Key was used for another request; use a new one.")


@dataclass(frozen=True)
class WrittenArgs:
    """Arguments as a row holds them. They are not read here: that is for the worker that runs them."""

    kind: str
    version: int
    values: dict[str, Any]


@dataclass(frozen=True)
class NewJob:
    """A job to be: due at `run_at`; now, if that is None or past. With a `parent_id` it is of the parent's batch."""

    args: JobArgs | WrittenArgs
    creator_id: uuid.UUID | None = None
    subject_id: uuid.UUID | None = None
    parent_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    run_at: datetime | None = None
    priority: int = 0
    flow_key: str | None = None
    dedupe_key: str | None = None
    fingerprint: str | None = None


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
    batch_id: uuid.UUID | None = None,
    run_at: datetime | None = None,
    priority: int = 0,
    flow_key: str | None = None,
    dedupe_key: str | None = None,
    fingerprint: str | None = None,
) -> Enqueued:
    """`enqueue_many` of one."""
    job = NewJob(args, creator_id, subject_id, parent_id, batch_id, run_at, priority, flow_key, dedupe_key, fingerprint)
    return enqueue_many(session, [job])[0]


# Named one by one, as the mapping has them: twice as quick to read as `*`, whose order is the database's.
_COLUMNS = tuple(Job.__table__.columns)
# Ordered by what may collide, so that two callers with keys in common wait for one another in the same order. One
# time for all: rows of one call are served in the order of their ids, which is that of the requests.
MADE = f"""
    clock AS MATERIALIZED (SELECT clock_timestamp() AS now), made AS (
        INSERT INTO jobs (
            id, kind, args, args_version, queue, priority, flow_key, creator_id, subject_id, parent_id, batch_id,
            trace, state, run_at, ready, dedupe_key, fingerprint, unique_key, unique_until,
            attempt, errors, max_attempts, crashes, progress, created_at
        )
        SELECT id, kind, args, args_version, queue, priority, flow_key, creator_id, subject_id, parent_id,
               coalesce(batch_id, (SELECT parent.batch_id FROM jobs AS parent WHERE parent.id = given.parent_id)),
               trace, 'waiting', greatest(run_at, now), coalesce(run_at <= now, true), dedupe_key, fingerprint,
               unique_key, unique_until, 0, 0, max_attempts, 0, 0, now
        FROM clock CROSS JOIN jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
            id uuid, kind text, args jsonb, args_version int, queue text, priority int, flow_key text, creator_id uuid,
            subject_id uuid, parent_id uuid, batch_id uuid, trace text, run_at timestamptz, dedupe_key text,
            fingerprint text, unique_key text, unique_until timestamptz, max_attempts int
        )
        ORDER BY dedupe_key, unique_key, id
        ON CONFLICT DO NOTHING
        RETURNING *
    ), told AS MATERIALIZED (
        SELECT pg_notify('{channels.JOBS}', '') FROM (SELECT FROM made WHERE ready LIMIT 1) AS due
    )
"""  # noqa: S608 - of constants
_INSERT = text(f"""
    WITH {MADE} SELECT {", ".join(column.name for column in _COLUMNS)} FROM made LEFT JOIN told ON true
""").columns(*_COLUMNS)  # noqa: S608 - of constants


def rows_of(session: Session, requests: Sequence[NewJob]) -> list[dict[str, Any]]:
    """What `MADE` inserts: `:rows`, as JSON. For statements that write more than jobs; they have to join `told` to the
    rows of `made`, or nobody is woken, and a request is not among those whose key is taken."""
    rows = [_row(request) for request in requests]
    _name_periods(session, rows)
    return rows


def enqueue_many(session: Session, requests: Sequence[NewJob]) -> list[Enqueued]:
    """Inserts waiting jobs and wakes the dispatchers at the commit; answers in the order of the requests.

    A request whose `dedupe_key` is taken, or for which its kind's `unique` rule has a job already, gets that row; of
    two such requests in one call the later gets the row of the earlier. Raises KeyReused if the taken key came with
    another `fingerprint`.
    """
    rows = rows_of(session, requests)
    answers: dict[uuid.UUID, Enqueued] = {}
    while left := [row for row in rows if row["id"] not in answers]:
        made = session.scalars(select(Job).from_statement(_INSERT), {"rows": json.dumps(left, default=str)}).all()
        answers |= {job.id: Enqueued(job, created=True) for job in made}
        tally.note(session, "enqueued", [job.kind for job in made])
        # What was in the way may be out of it before we look: the next turn then finds room.
        answers |= _there_already(session, [row for row in left if row["id"] not in answers])
    return [answers[row["id"]] for row in rows]


def _row(request: NewJob) -> dict[str, Any]:
    args = request.args
    kind = KINDS[args.kind]
    values = args.values if isinstance(args, WrittenArgs) else args.model_dump(mode="json")
    return {
        "id": new_id(),
        "kind": args.kind,
        "args": values,
        "args_version": args.version,
        "queue": kind.queue,
        "priority": request.priority,
        "flow_key": request.flow_key or str(request.creator_id or args.kind),
        "creator_id": request.creator_id,
        "subject_id": request.subject_id,
        "parent_id": request.parent_id,
        "batch_id": request.batch_id,
        "trace": tracing.current_traceparent(),
        "run_at": request.run_at,
        "max_attempts": kind.max_attempts,
        "dedupe_key": request.dedupe_key,
        "fingerprint": request.fingerprint,
        "unique_key": None if kind.unique is None else _unique_key(kind.unique, request, values),
    }


def _unique_key(rule: Unique, request: NewJob, values: dict[str, Any]) -> str:
    named = {"args": values, "creator": request.creator_id, "subject": request.subject_id}
    named |= {f"args.{name}": value for name, value in values.items()}
    parts = [request.args.kind, *(named.get(name) for name in rule.by)]
    canonical = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _name_periods(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Adds the present period to the keys that hold for one: by the database's clock, the same for all callers."""
    limited = [(row, rule) for row in rows if (rule := KINDS[row["kind"]].unique) and rule.period_s]
    if not limited:
        return
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    for row, rule in limited:
        assert rule.period_s is not None
        number = int(now.timestamp() // rule.period_s)
        row["unique_key"] += f"@{number}"
        row["unique_until"] = datetime.fromtimestamp((number + 1) * rule.period_s, UTC)


def _there_already(session: Session, rows: Sequence[dict[str, Any]]) -> dict[uuid.UUID, Enqueued]:
    """{id of a row that found no room: the one in its place}. A repeat of a request goes before the same work."""
    repeated = _jobs_by(session, "dedupe_key", rows)
    holding = _jobs_by(session, "unique_key", rows)
    found = {}
    for row in sorted(rows, key=lambda row: row["unique_key"] or ""):  # locks are taken in the same order by all
        if job := repeated.get(row["dedupe_key"]):
            if job.fingerprint != row["fingerprint"]:
                raise KeyReused
        elif job := holding.get(row["unique_key"]):
            rule = KINDS[row["kind"]].unique
            if rule is not None and rule.conflict == "replace":
                _replace(session, job, row)
        if job is not None:
            found[row["id"]] = Enqueued(job, created=False)
    return found


def _jobs_by(session: Session, column: str, rows: Sequence[dict[str, Any]]) -> dict[str | None, Job]:
    keys = [row[column] for row in rows if row[column] is not None]
    if not keys:
        return {}
    query = select(Job).where(getattr(Job, column).in_(keys))
    if column == "unique_key":
        query = query.where(text(HOLDS_UNIQUE_KEY))
    found = session.scalars(query, execution_options={"populate_existing": True})
    return {getattr(job, column): job for job in found}


# What waits for a retry gets the new arguments, but no earlier time than its backoff.
_REPLACE = text("""
    UPDATE jobs
    SET args = cast(:args AS jsonb), args_version = :args_version, priority = :priority,
        run_at = greatest(cast(:run_at AS timestamptz), CASE attempt WHEN 0 THEN clock_timestamp() ELSE run_at END),
        ready = greatest(:run_at, CASE attempt WHEN 0 THEN '-infinity' ELSE run_at END) <= clock_timestamp()
    WHERE id = :id AND state = 'waiting'
    RETURNING ready
""")


def _replace(session: Session, job: Job, row: dict[str, Any]) -> None:
    """Gives a job that waits what a later request wants of it; one that is queued or runs stays as it is."""
    given = {name: row[name] for name in ("args_version", "priority", "run_at")}
    ready = session.execute(_REPLACE, {"id": job.id, "args": json.dumps(row["args"]), **given}).scalar_one_or_none()
    session.refresh(job)
    if ready:
        wake_dispatcher(session)


def wake_dispatcher(session: Session) -> None:
    """Tells the dispatchers, at the commit, that something is due."""
    session.execute(select(func.pg_notify(channels.JOBS, "")))
