"""The work behind the videos."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from huntaze.api.auth import Reader, Writer
from huntaze.api.problems import not_found, problems
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.jobs import JobDetail, JobPage, JobView
from huntaze.api.services import ServicesOf
from huntaze.models import job_reads, job_store
from huntaze.models.jobs import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

# Kinds and codes are dotted words. Bounded here, so that nothing odd reaches the database.
Word = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Moment = Annotated[
    AwareDatetime, Query(description="with its zone; `+` is `%2B` in a URL", examples=["2026-11-22T10:00:00Z"])
]


@router.get("", responses=problems(), summary="List jobs")
def list_jobs(
    services: ServicesOf,
    caller: Reader,
    state: Annotated[JobState | None, Query()] = None,
    kind: Word | None = None,
    error_code: Word | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> JobPage:
    """Newest first. `state=failed&error_code=media.no_video` finds all that failed alike. `created_after` is
    inclusive, `created_before` is not: ranges that touch share no job. Ended jobs are kept for at least seven days."""
    with services.sessions() as session:
        jobs = job_reads.search(
            session,
            creator_id=caller.creator_id,
            state=state,
            kind=kind,
            error_code=error_code,
            created_after=created_after,
            created_before=created_before,
            before=cursor,
            limit=limit + 1,
        )
    page = [JobView.of(job) for job in jobs[:limit]]
    return JobPage(jobs=page, next_cursor=page[-1].id if len(jobs) > limit else None)


@router.get("/{job_id}", responses=problems(404), summary="See a job and its attempts")
def show_job(job_id: uuid.UUID, services: ServicesOf, caller: Reader) -> JobDetail:
    """With the time each stage of each attempt took."""
    with services.sessions() as session:
        job = job_store.get(session, job_id, caller.creator_id)
        if job is None:
            raise not_found("job")
        return JobDetail.with_attempts(job, job_store.attempts_of(session, job_id))


@router.post("/{job_id}/cancel", responses=problems(404), summary="Cancel a job")
def cancel_job(job_id: uuid.UUID, services: ServicesOf, caller: Writer) -> JobView:
    """At once if it has not started; a running one is asked to stop (`cancel_requested`). Repeating does no harm."""
    with services.sessions.begin() as session:
        job = job_store.cancel(session, job_id, caller.creator_id)
        if job is None:
            raise not_found("job")
        return JobView.of(job)


@router.post("/{job_id}/retry", responses=problems(404, 409), summary="Try a failed job again")
def retry_job(job_id: uuid.UUID, services: ServicesOf, caller: Writer) -> JobView:
    """Back to `waiting`, with its counts of errors set back. 409 `job.not_failed` for any other state."""
    with services.sessions.begin() as session:
        job = job_store.replay(session, job_id, caller.creator_id)
        if job is None:
            raise not_found("job")
        return JobView.of(job)
