"""What a test asks of the ledger, and puts there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, text

from huntaze.models import job_enqueue, job_store, user_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobArgs
from huntaze.models.jobs import ENDED, Job
from huntaze.models.users import User
from tests.acceptance.kinds import DONE
from tests.waiting import until

_COPY = text("""
    INSERT INTO jobs (id, kind, args, args_version, queue, priority, flow_key, creator_id, max_attempts,
                      state, ready, run_at, attempt, errors, crashes, progress)
    SELECT gen_random_uuid(), kind, args, args_version, queue, priority, flow_key, creator_id, max_attempts,
           state, ready, run_at, attempt, errors, crashes, progress
    FROM jobs, generate_series(2, :count) WHERE id = :id
""")


@dataclass(frozen=True)
class Ledger:
    """Jobs of `creator`, unless another is named."""

    sessions: Sessions
    creator: User

    def user(self, name: str) -> User:
        with self.sessions.begin() as session:
            return user_store.ensure_user(session, name)

    def enqueue(self, args: JobArgs, creator: User | None = None, *, after_s: float = 0.0, priority: int = 0) -> Job:
        with self.sessions.begin() as session:
            run_at = job_store.db_now(session) + timedelta(seconds=after_s) if after_s else None
            owner = (creator or self.creator).id
            return job_enqueue.enqueue(session, args, creator_id=owner, run_at=run_at, priority=priority).job

    def backlog(self, args: JobArgs, count: int, priority: int = 0) -> Job:
        """So many waiting jobs at once; returns one of them."""
        job = self.enqueue(args, priority=priority)
        with self.sessions.begin() as session:
            session.execute(_COPY, {"id": job.id, "count": count})
        return job

    def job(self, job: Job) -> Job:
        with self.sessions() as session:
            return session.get_one(Job, job.id)

    def attempts(self, job: Job) -> list[RowMapping]:
        with self.sessions() as session:
            return job_store.attempts_of(session, job.id)

    def effects(self, job: Job) -> int:
        """How often a job's effect happened."""
        query = text("SELECT count(*) FROM events WHERE type = :type AND subject_id = :id")
        with self.sessions() as session:
            return int(session.execute(query, {"type": DONE, "id": job.id}).scalar_one())

    def now(self) -> datetime:
        with self.sessions() as session:
            return job_store.db_now(session)

    def ended(self, jobs: Sequence[Job], what: str, within_s: float = 30.0) -> list[Job]:
        """The jobs, once all have ended."""
        until(lambda: all(self.job(job).state in ENDED for job in jobs), what, within_s)
        return [self.job(job) for job in jobs]

    def count(self, state: str, kind: str = "%") -> int:
        query = text("SELECT count(*) FROM jobs WHERE state = :state AND kind LIKE :kind")
        with self.sessions() as session:
            return int(session.execute(query, {"state": state, "kind": kind}).scalar_one())

    def until_started(self, job: Job) -> None:
        until(lambda: self.job(job).started_at is not None, f"{job.kind} to be started")

    def until_running(self, job: Job) -> Job:
        until(lambda: self.job(job).state == "running", f"{job.kind} to be under way")
        return self.job(job)
