"""Puts the planned jobs into the ledger, and cancels some, while the faults happen."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from huntaze.models import job_enqueue, job_store, user_store
from huntaze.models.database import DatabaseAway, Sessions
from tests.chaos.plan import CREATORS, PlannedJob, due

T = TypeVar("T")
_TICK_S = 0.25
_AWAY_S = 180.0


@dataclass(frozen=True)
class Sent:
    """A job that was asked for, and answered with a row."""

    id: uuid.UUID
    planned: PlannedJob
    due: datetime


@dataclass
class Load:
    """`sent` by plan number. `cancelled`: whose cancellation was committed, or may have been."""

    sessions: Sessions
    seed: int
    sent: dict[int, Sent] = field(default_factory=dict)
    cancelled: set[uuid.UUID] = field(default_factory=set)
    creators: list[uuid.UUID] = field(default_factory=list)

    def prepare(self) -> None:
        with self.sessions.begin() as session:
            self.creators = [user_store.ensure_user(session, f"creator-{n}").id for n in range(CREATORS)]

    async def run(self, jobs: Sequence[PlannedJob]) -> None:
        """Inserts what is due in chunks; returns when all is inserted and cancelled."""
        start = time.monotonic()
        to_send = list(jobs)
        to_cancel = sorted((job for job in jobs if job.cancel_at is not None), key=lambda job: job.cancel_at or 0.0)
        while to_send or to_cancel:
            now = time.monotonic() - start
            chunk = [job for job in to_send[:500] if job.at <= now]
            if chunk:
                await persist(lambda chunk=chunk: self._insert(chunk))  # type: ignore[misc]
                del to_send[: len(chunk)]
            ripe = [job for job in to_cancel if (job.cancel_at or 0.0) <= now and job.number in self.sent]
            for job in ripe:
                self.cancelled.add(self.sent[job.number].id)
                await persist(lambda job=job: self._cancel(self.sent[job.number].id))  # type: ignore[misc]
                to_cancel.remove(job)
            await asyncio.sleep(_TICK_S)

    def _insert(self, chunk: Sequence[PlannedJob]) -> None:
        """One transaction. Done again after an unknown end: the dedupe key finds what was committed."""
        sent = []
        with self.sessions.begin() as session:
            for job in chunk:
                at = due(job)
                enqueued = job_enqueue.enqueue(
                    session,
                    job.args(at),
                    creator_id=self.creators[job.creator],
                    run_at=at if job.delay_s else None,
                    dedupe_key=f"chaos-{self.seed}-{job.number}",
                )
                sent.append(Sent(enqueued.job.id, job, enqueued.job.run_at))
        self.sent.update({one.planned.number: one for one in sent})

    def _cancel(self, job_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            job_store.cancel(session, job_id)


async def persist(work: Callable[[], T]) -> T:
    """Does it in a thread until the database is there for it. Raises one of DatabaseAway where it stays away."""
    end = time.monotonic() + _AWAY_S
    while True:
        try:
            return await asyncio.to_thread(work)
        except DatabaseAway:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(_TICK_S)
