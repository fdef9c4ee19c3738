"""Jobs that ended a while ago."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text, update

from huntaze.models import job_enqueue, job_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.jobs import ENDED, Job, JobAttempt, JobState


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        return job_store.db_now(session)


def old_job(sessions: Sessions, state: JobState, age: timedelta, **columns: Any) -> uuid.UUID:
    """A job with one attempt that came into `state` so long ago."""
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, Noop()).job
        moment = job_store.db_now(session) - age
        values: dict[str, Any] = {"state": state, "created_at": moment, "queued_at": moment}
        if state in ENDED:
            values["finished_at"] = moment
        if state == JobState.FAILED:
            values["error_code"] = "x.broken"
        if state == JobState.RUNNING:
            values["lease_until"] = moment
        session.execute(update(Job).where(Job.id == job.id).values(**values | columns))
        session.add(JobAttempt(job_id=job.id, attempt=1, worker="a/1", started_at=moment))
    return job.id


def many_old_jobs(sessions: Sessions, count: int, state: JobState, age: timedelta) -> None:
    """As many as a sweep needs several turns for, their ids of their time to the minute."""
    copies = """
        INSERT INTO jobs (id, kind, args, args_version, queue, priority, flow_key, state, attempt, errors, max_attempts,
                          crashes, progress, error_code, created_at, finished_at)
        SELECT overlay(gen_random_uuid()::text
                       placing lpad(to_hex((extract(epoch FROM at) * 1000)::bigint >> 16), 8, '0') from 1 for 8)::uuid,
               'noop', '{}', 1, 'default', 0, 'noop', cast(:state AS text), 1, 0, 5,
               0, 0, 'x.broken', at, at + n * interval '1 ms'
        FROM generate_series(1, :count) AS n, (SELECT clock_timestamp() - make_interval(secs => :age_s) AS at) AS begun
    """
    with sessions.begin() as session:
        given = {"count": count, "state": state.value, "age_s": age.total_seconds()}
        session.execute(text(copies), given)


def left(sessions: Sessions) -> set[uuid.UUID]:
    with sessions() as session:
        return set(session.scalars(select(Job.id)))


def attempts_left(sessions: Sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(JobAttempt)) or 0
