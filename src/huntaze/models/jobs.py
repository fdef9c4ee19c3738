"""The ledger: every unit of work is a row here. The rules of the transitions are in `job_store.py`."""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, func, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class JobState(enum.StrEnum):
    """Where a job is. Three states move, three are ends."""

    # Due at run_at. Comes from: insert; a retry; a crash; a hand-back; a replay. Leaves by: dispatch, cancel.
    WAITING = "waiting"
    # Handed to the broker. A hint is under way, which may be lost or doubled. Leaves by: claim, cancel; if it
    # stays here too long the hint is sent again.
    QUEUED = "queued"
    # Claimed by one worker, which holds a lease. Leaves by: finish, retry, failure, hand-back, or the lease's end.
    RUNNING = "running"
    # The end that was wanted: results, events and this word were committed together.
    SUCCEEDED = "succeeded"
    # The shelf: a permanent error, or attempts or crashes exhausted. error_code says which. A replay revives it.
    FAILED = "failed"
    # Somebody asked, before it was done.
    CANCELLED = "cancelled"


LIVE = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class AttemptOutcome(enum.StrEnum):
    """How an attempt ended; an attempt without one is still running."""

    SUCCEEDED = "succeeded"
    RETRIED = "retried"  # an error, and another attempt is due
    FAILED = "failed"  # an error, and no other attempt
    CRASHED = "crashed"  # the lease ran out: the worker died, hung or was cut off
    HANDED_BACK = "handed_back"  # the worker was told to stop; costs nothing
    SNOOZED = "snoozed"  # the handler asked to be called again later; costs nothing
    CANCELLED = "cancelled"


def _one_of(column: str, values: tuple[enum.StrEnum, ...]) -> str:
    return f"{column} IN ({', '.join(repr(v.value) for v in values)})"


HOLDS_UNIQUE_KEY = (
    f"unique_key IS NOT NULL AND ({_one_of('state', LIVE)} OR (unique_until IS NOT NULL AND state = 'succeeded'))"
)


class Job(Base):
    """One unit of work."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("state", tuple(JobState)), name="state_known"),
        CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="running_has_lease"),
        CheckConstraint(f"({_one_of('state', ENDED)}) = (finished_at IS NOT NULL)", name="ended_has_end"),
        CheckConstraint("state <> 'queued' OR queued_at IS NOT NULL", name="queued_has_time"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failed_has_code"),
        CheckConstraint("attempt >= 0 AND errors >= 0 AND crashes >= 0", name="counts_not_negative"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress_fraction"),
        # The dispatcher's way through the backlog: from flow key to flow key, each one's oldest job first. A round
        # touches as many entries as it sends, however long the backlog is.
        Index(
            "ix_jobs_lanes",
            *("queue", "priority", "kind", "flow_key", "run_at", "id"),
            postgresql_where="state = 'waiting' AND ready",
        ),
        Index("ix_jobs_scheduled", "run_at", postgresql_where="state = 'waiting' AND NOT ready"),
        # What a flow key has under way, for its limit.
        Index("ix_jobs_under_way", "kind", "flow_key", postgresql_where="state IN ('queued', 'running')"),
        Index("ix_jobs_queued", "queue", "queued_at", postgresql_where="state = 'queued'"),
        Index("ix_jobs_leases", "lease_until", postgresql_where="state = 'running'"),
        # Of all jobs with a key one at most does the work; which states count is said at `unique_until`.
        Index("uq_jobs_unique_key", "unique_key", unique=True, postgresql_where=HOLDS_UNIQUE_KEY),
        Index("ix_jobs_batch", "batch_id", "state", postgresql_where="batch_id IS NOT NULL"),
        # Each change of state makes a new entry in every index that holds the row: what follows holds few rows, or each
        # at its end only. Newest first without a creator goes by the primary key.
        Index(None, "creator_id", "id", postgresql_where="creator_id IS NOT NULL"),
        Index("ix_jobs_ended", "state", "finished_at", postgresql_where="finished_at IS NOT NULL"),
        Index("ix_jobs_undone", "state", "id", postgresql_where="state IN ('failed', 'cancelled')"),
        Index("ix_jobs_error", "error_code", "id", postgresql_where="error_code IS NOT NULL"),
        Index("ix_jobs_nobodys", "kind", "id", postgresql_where="creator_id IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(64))
    args: Mapped[dict[str, Any]]
    args_version: Mapped[int] = mapped_column(SmallInteger, default=1)
    queue: Mapped[str] = mapped_column(String(32))
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)  # smaller goes first
    flow_key: Mapped[str] = mapped_column(String(64))  # whose turn it is: the creator, unless the kind says otherwise
    creator_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    subject_id: Mapped[uuid.UUID | None]  # what it works on: a content task
    parent_id: Mapped[uuid.UUID | None]  # the job whose finish inserted this one
    trace: Mapped[str | None] = mapped_column(String(64))  # W3C traceparent of the span that inserted it
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id", ondelete="SET NULL"))

    state: Mapped[str] = mapped_column(String(16), default=JobState.WAITING)
    run_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    # Its time has come. False for a future run_at, until the dispatcher sees the time pass: scheduled jobs, however
    # many, are not in the way of those that are due.
    ready: Mapped[bool] = mapped_column(default=True, server_default=true())
    dedupe_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64))  # of the request that brought dedupe_key
    # What the kind's `unique` rule makes one of. It is held while the job is live; with `unique_until`, the end of the
    # period it was enqueued in, by a success too.
    unique_key: Mapped[str | None] = mapped_column(String(64))
    unique_until: Mapped[datetime | None]

    # The fencing token: counts claims and never goes down, so no two holders of the row share a number.
    attempt: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)  # attempts that ended in an error: what max_attempts limits
    max_attempts: Mapped[int] = mapped_column(SmallInteger)
    crashes: Mapped[int] = mapped_column(default=0)  # attempts whose lease ran out

    worker: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    progress: Mapped[float] = mapped_column(default=0.0)  # 0..1
    stage: Mapped[str | None] = mapped_column(String(64))
    result: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)

    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]  # of the first attempt
    finished_at: Mapped[datetime | None]


class JobAttempt(Base):
    """One row an attempt: who, when, how it ended."""

    __tablename__ = "job_attempts"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str] = mapped_column(String(255))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)  # for operators: may hold a traceback
    stages: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)  # [{name, seconds}]
