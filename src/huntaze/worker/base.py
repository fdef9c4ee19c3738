"""From a message to a settled row: claim, hand over, settle. The only broad `except` around a handler is here."""

import os
import random
import threading
import time
import traceback
import uuid
from dataclasses import dataclass
from datetime import datetime

from celery import Celery, Task
from celery.exceptions import Retry, SoftTimeLimitExceeded
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from huntaze import tracing
from huntaze.logs import logger
from huntaze.models import job_claim, job_settle
from huntaze.models.database import DatabaseAway
from huntaze.models.job_claim import Claimed
from huntaze.models.job_kinds import KINDS, parse_args
from huntaze.models.job_settle import AttemptEnd, CancelRequested, LeaseLost
from huntaze.models.jobs import AttemptOutcome, Job, JobState
from huntaze.pipelines.ai.errors import BudgetExhausted
from huntaze.pipelines.errors import HuntazeError, Permanent, Transient
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext, Snooze
from huntaze.worker.clock import ClockTask
from huntaze.worker.job_metrics import JobMetrics
from huntaze.worker.runtime import ProcessRuntime, Runtime

_log = logger(__name__)
_SETTLE_AGAIN_S = 0.5


class JobTask(Task):  # type: ignore[misc]
    """The Celery task of a kind. Its message holds a job id and nothing else.

    What it raises is for Flower's eyes only: by then the row has told everything that matters.
    """

    abstract = True
    ignore_result = True
    throws = (Permanent,)  # nothing that Celery would have to log: `_settle` has
    Request = "huntaze.worker.requests:JobRequest"

    def run(self, job_id: str) -> None:
        end = run_job(self.app.huntaze_runtime.get(), self.app.huntaze_node, self.name, uuid.UUID(job_id))
        if end is not None and end.state == JobState.WAITING:
            raise Retry(f"{end.error_code}: {end.error_message}", when=end.run_at)
        if end is not None and end.state == JobState.FAILED:
            raise Permanent(end.error_code or "job.error", end.error_message or "")


def register(app: Celery, settings: Settings, threads: int, metrics: JobMetrics) -> None:
    """Gives a worker's app one task a job kind, and the clock's. `threads`: how many jobs the process runs at once."""
    app.huntaze_runtime = ProcessRuntime(settings, threads, metrics)
    for name, kind in KINDS.items():
        limits = {"soft_time_limit": kind.soft_limit_s, "time_limit": kind.hard_limit_s}
        app.register_task(type("KindTask", (JobTask,), {"name": name, "queue": kind.queue, **limits})())
    app.register_task(ClockTask())


@dataclass(frozen=True)
class Settled:
    """What became of the row. `run_at`: of the next attempt, if there is to be one."""

    state: str
    outcome: AttemptOutcome
    error_code: str | None = None
    error_message: str | None = None
    run_at: datetime | None = None


def run_job(runtime: Runtime, node: str, kind: str, job_id: uuid.UUID) -> Settled | None:
    """Runs one job if it is still to be had; returns what became of it, None if it was not ours to settle.

    Raises one of DatabaseAway where the database is away: the lease then speaks for us.
    """
    worker = f"{node}/{os.getpid()}.{threading.get_ident() % 100_000}"
    version = KINDS[kind].args.version
    with runtime.statements.connect() as connection:
        job = job_claim.claim(connection, job_id, worker, runtime.settings.worker.lease_s, version)
        if job is None:
            declined = job_claim.decline(connection, job_id, version)
            _log.debug("nothing to claim", job_id=str(job_id), declined=declined)
            return None
    begun = time.perf_counter()
    runtime.counts.started(job.kind, job.waited_s, job.before)
    context: dict[str, str | int | None] = {"job_id": str(job.id), "kind": job.kind, "attempt": job.attempt}
    context["creator_id"] = None if job.creator_id is None else str(job.creator_id)
    with bound_contextvars(**context), runtime.leases.hold(job.id, job.attempt) as lease:
        ctx = JobContext(job, runtime.sessions, runtime.clients, lease, runtime.settings)
        _log.info("job started")
        try:
            with tracing.span(f"run {job.kind}", context, parent=job.trace):
                end = _hand_over(runtime, ctx)
                wrong = end.outcome in (AttemptOutcome.RETRIED, AttemptOutcome.FAILED)
                tracing.note({"outcome": end.outcome}, error=end.error_code if wrong else None)
        except LeaseLost:
            _log.warning("lease lost: the job belongs to somebody else by now")
            return None
        runtime.counts.ended(job.kind, end.outcome, time.perf_counter() - begun)
        return end


def _hand_over(runtime: Runtime, ctx: JobContext) -> Settled:
    try:
        runtime.handlers[ctx.job.kind](ctx, parse_args(ctx.job.kind, ctx.job.args_version, ctx.job.args))
        if not ctx.finished:
            ctx.close_stage()
            with runtime.statements.connect() as connection:
                job_settle.succeed(connection, ctx.job.id, ctx.job.attempt, AttemptEnd(ctx.stages))
    except LeaseLost:
        raise
    except Exception as error:
        return _settle(runtime, ctx, error)
    _log.info("job succeeded")
    return Settled(JobState.SUCCEEDED, AttemptOutcome.SUCCEEDED)


def _settle(runtime: Runtime, ctx: JobContext, error: Exception) -> Settled:
    """Writes down how the attempt went wrong, and what follows from that. Raises LeaseLost.

    A database that is away is waited for as long as the lease may last: giving up earlier would count as a crash.
    """
    ctx.close_stage()
    end = _end(ctx, error)
    while True:
        try:
            with runtime.sessions.begin() as session:
                job = _write(session, ctx, error, end)
            break
        except DatabaseAway:
            if ctx.lease.lost:
                raise LeaseLost(f"job {ctx.job.id}: the database stayed away") from None
            threading.Event().wait(_SETTLE_AGAIN_S)
    trace = None if isinstance(error, HuntazeError) else end.trace  # what was foreseen is told by its sentence
    _log.warning("job not done", state=job.state, error=end.error_code, detail=end.error_message, trace=trace)
    return Settled(job.state, _outcome(error, job), job.error_code, job.error_message, job.run_at)


def _write(session: Session, ctx: JobContext, error: Exception, end: AttemptEnd) -> Job:
    """The one table from what a handler raised to what becomes of the row."""
    held = (ctx.job.id, ctx.job.attempt)
    if isinstance(error, CancelRequested):
        return job_settle.stop_cancelled(session, *held, end)
    if isinstance(error, Snooze):
        return job_settle.snooze(session, *held, end, error.seconds)
    if isinstance(error, DatabaseAway):  # our own ledger's trouble, which costs the job nothing
        return job_settle.snooze(session, *held, end, _SETTLE_AGAIN_S)
    if isinstance(error, BudgetExhausted):  # waits for the month to end, or for a larger limit
        return job_settle.snooze(session, *held, end, retry_delay(ctx.job, error))
    if isinstance(error, Permanent):
        return job_settle.fail(session, *held, end)
    return job_settle.retry_later(session, *held, end, retry_delay(ctx.job, error))


def _outcome(error: Exception, job: Job) -> AttemptOutcome:
    """How the attempt ended, as `_write` had it noted."""
    if job.state == JobState.FAILED:
        return AttemptOutcome.FAILED
    if isinstance(error, CancelRequested):
        return AttemptOutcome.CANCELLED
    free = isinstance(error, (Snooze, BudgetExhausted, *DatabaseAway))
    return AttemptOutcome.SNOOZED if free else AttemptOutcome.RETRIED


def _end(ctx: JobContext, error: Exception) -> AttemptEnd:
    """The attempt's record. An error that nobody foresaw is told to the creator without its insides."""
    if isinstance(error, HuntazeError):
        return AttemptEnd(ctx.stages, error.code, error.message, error.detail)
    if isinstance(error, CancelRequested | Snooze):
        return AttemptEnd(ctx.stages)
    trace = "".join(traceback.format_exception(error))[-20_000:]
    if isinstance(error, SoftTimeLimitExceeded):
        limit = KINDS[ctx.job.kind].soft_limit_s
        return AttemptEnd(ctx.stages, "job.timeout", f"The job took longer than {limit:g} seconds.", trace)
    return AttemptEnd(ctx.stages, "job.error", "Something went wrong on our side; it will be looked at.", trace)


def retry_delay(job: Claimed, error: Exception) -> float:
    """Seconds until the next attempt: what the other side asked for, else exponential backoff with full jitter
    (so that what failed together does not come back together)."""
    if isinstance(error, Transient) and error.retry_after is not None:
        return error.retry_after
    kind = KINDS[job.kind]
    return random.uniform(0, min(kind.backoff_cap_s, kind.backoff_base_s * 2**job.errors))  # noqa: S311 - not a secret
