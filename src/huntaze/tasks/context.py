"""What a handler is given beside its arguments: progress, checkpoints, clients, and the one way to finish."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.orm import Session

from huntaze.clients.build import Clients
from huntaze.models import event_store, job_enqueue, job_settle
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobArgs
from huntaze.models.job_claim import Claimed
from huntaze.models.job_settle import AttemptEnd, CancelRequested, LeaseLost
from huntaze.models.jobs import Job
from huntaze.settings import Settings

# Progress is told when it is news to a person: at once where the stage changes, else this much and this long later.
_STEP = 0.05
_INTERVAL_S = 0.5


class Snooze(Exception):
    """Raised by a handler for which it is too early: call again in `seconds`. Costs no attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:g} s")
        self.seconds = seconds


class Lease(Protocol):
    """What the worker knows of its hold on the row; kept up to date in the background."""

    @property
    def lost(self) -> bool: ...

    @property
    def cancelled(self) -> bool: ...


@dataclass
class Finish:
    """The finishing transaction: whatever is written through `session` becomes true together with `succeeded`."""

    session: Session
    job: Claimed
    result: dict[str, Any] = field(default_factory=dict)

    def enqueue(self, args: JobArgs) -> uuid.UUID:
        """Inserts the follow-on job: same creator, same subject."""
        follow_on = job_enqueue.enqueue(
            self.session,
            args,
            creator_id=self.job.creator_id,
            subject_id=self.job.subject_id,
            parent_id=self.job.id,
            priority=self.job.priority,
        )
        return follow_on.job.id

    def emit(self, type: str, subject_id: uuid.UUID, data: dict[str, Any]) -> None:
        """Writes an event for the job's creator. A job without a creator has nobody to tell."""
        if self.job.creator_id is not None:
            event_store.emit(self.session, self.job.creator_id, type, subject_id, data)


@dataclass
class JobContext:
    """One attempt at one job. `sessions` opens short transactions: none may be open while a pipeline runs."""

    job: Claimed
    sessions: Sessions
    clients: Clients
    lease: Lease
    settings: Settings | None = None  # what the worker was started with; None: a test of a handler that asks for none
    stages: list[dict[str, Any]] = field(default_factory=list)  # {name, seconds}, in order
    finished: bool = False  # the finish is committed
    _told: tuple[float, str, float] = (0.0, "", 0.0)  # fraction, stage, monotonic time
    _open: tuple[str, float] | None = None  # the stage that runs now, and when it began

    def checkpoint(self) -> None:
        """Call where stopping is safe. Raises CancelRequested, LeaseLost."""
        if self.lease.lost:
            raise LeaseLost(f"job {self.job.id}, attempt {self.job.attempt}")
        if self.lease.cancelled:
            raise CancelRequested

    def progress(self, fraction: float, stage: str) -> None:
        """Tells how far the job is (0..1) and in which stage, which is timed; a checkpoint too."""
        self.checkpoint()
        if self._open is None or self._open[0] != stage:
            self.close_stage()
            self._open = (stage, time.perf_counter())
        told, told_stage, at = self._told
        now = time.monotonic()
        if stage == told_stage and (fraction - told < _STEP or now - at < _INTERVAL_S):
            return
        self._told = (fraction, stage, now)
        with self.sessions.begin() as session:
            held = job_settle.report_progress(session, self.job.id, self.job.attempt, min(fraction, 1.0), stage)
        if not held:
            self._stop_or_lost()

    def _stop_or_lost(self) -> None:
        with self.sessions() as session:
            job = session.get(Job, self.job.id)
        if job is not None and job.attempt == self.job.attempt and job.cancel_requested_at is not None:
            raise CancelRequested
        raise LeaseLost(f"job {self.job.id}, attempt {self.job.attempt}")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a part of the attempt for `job_attempts.stages`."""
        self.close_stage()
        self._open = (name, time.perf_counter())
        try:
            yield
        finally:
            self.close_stage()

    def close_stage(self) -> None:
        """Notes how long the stage took that runs now, if there is one: also when it ends by an error."""
        if self._open is not None:
            name, begun = self._open
            self.stages.append({"name": name, "seconds": round(time.perf_counter() - begun, 4)})
            self._open = None

    @contextmanager
    def finish(self) -> Iterator[Finish]:
        """The end: results, events, follow-on jobs and `succeeded` in one commit, or nothing at all.

        The fence comes first: it locks the row, and raises LeaseLost or CancelRequested before anything is written.
        """
        self.close_stage()
        with self.sessions.begin() as session:
            job_settle.succeed(session, self.job.id, self.job.attempt, AttemptEnd(self.stages))
            finish = Finish(session, self.job)
            yield finish
            if finish.result:
                job_settle.save_result(session, self.job.id, finish.result)
        self.finished = True
