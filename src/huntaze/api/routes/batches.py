"""Many videos at once, taken together or not at all."""

import uuid
from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Response

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import FieldError, ProblemError, not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.batches import BatchAccepted, BatchLine, BatchPage, BatchRequest, BatchView
from huntaze.api.schemas.jobs import JobPage, JobView
from huntaze.api.schemas.videos import VideoAccepted, VideoRequest
from huntaze.api.services import Services, ServicesOf
from huntaze.api.video_sources import (
    LOCATION,
    IdempotencyKey,
    Source,
    dedupe_key_of,
    fingerprint_of,
    look_all,
    source_of,
)
from huntaze.models import batch_store, content_store, video_batches
from huntaze.models.batches import Batch
from huntaze.models.video_requests import Accepted, SeenObject, WantedVideo

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_NO_BATCH = ("batch.not_found", "There is no batch with this id.")
_IN_DETAIL = 3  # problems that the sentence for people spells out; `errors` has all

Limit = Annotated[int, Query(ge=1, le=100)]


@router.post(
    "",
    status_code=202,
    responses=LOCATION | problems(400, 404, 409, 413, s404=("content.not_found", "There is no content with this id.")),
    summary="Look at many videos",
)
def accept_batch(
    body: BatchRequest, services: ServicesOf, caller: Writer, response: Response, idempotency_key: IdempotencyKey = None
) -> BatchAccepted:
    """All or nothing: if something is wrong with some, all problems are named (`videos[17].object_key`) and nothing
    is started; `code` is theirs if it is the same for all, else `request.invalid`. A repeat with the same
    `Idempotency-Key` gets the same answer and starts nothing. `batch.ended` tells the end."""
    batch, made = _accept(services, caller, body, dedupe_key_of(caller, idempotency_key))
    url = f"/v1/batches/{batch.id}"
    response.headers["Location"] = url
    return BatchAccepted(id=batch.id, url=url, videos=[VideoAccepted.of(one) for one in made])


def _accept(
    services: Services, caller: Caller, body: BatchRequest, dedupe_key: str | None
) -> tuple[Batch, list[Accepted]]:
    fingerprint = fingerprint_of(body)
    with services.statements() as session:
        # First: a repeat must not depend on whether the objects are still there, or the store answers.
        earlier = None if dedupe_key is None else batch_store.find_request(session, dedupe_key, fingerprint)
        if earlier is not None:
            return earlier, video_batches.accepted(session, earlier.id)
        ids = {video.content_id for video in body.videos if video.content_id is not None}
        contents = content_store.find_contents(session, caller.creator_id, list(ids))
    sources = _all_or_none([_tried(caller, video, contents) for video in body.videos])
    # Between two units of work: no connection is held while the store is asked.
    seen = look_all(services, sources)
    objects = _all_or_none([_named(seen[source.object_key], source.field) for source in sources])
    videos = [WantedVideo(each, video.cells, video.run_at) for each, video in zip(objects, body.videos, strict=True)]
    with services.sessions.begin() as session:
        return video_batches.accept(
            session, caller.creator_id, videos, name=body.name, dedupe_key=dedupe_key, fingerprint=fingerprint
        )


def _tried(caller: Caller, video: VideoRequest, contents: dict[uuid.UUID, tuple[str, str]]) -> Source | ProblemError:
    try:
        return source_of(caller, video, contents)
    except ProblemError as problem:
        return problem


def _named(seen: SeenObject | ProblemError, field: str) -> SeenObject | ProblemError:
    """A problem of an object, by the field in which this video named it."""
    return refuse_field(seen.status, seen.code, field, seen.detail) if isinstance(seen, ProblemError) else seen


Good = TypeVar("Good")


def _all_or_none(tried: Sequence[Good | ProblemError]) -> list[Good]:
    """What was good, if all was; else raises one ProblemError that names each problem by the video's place."""
    refused = [(place, one) for place, one in enumerate(tried) if isinstance(one, ProblemError)]
    if not refused:
        return [one for one in tried if not isinstance(one, ProblemError)]
    errors = [
        FieldError(field=f"videos[{place}].{error.field}", message=error.message)
        for place, problem in refused
        for error in problem.errors
    ]
    told = [f"{error.field}: {error.message}" for error in errors[:_IN_DETAIL]]
    more = [f"and {len(errors) - _IN_DETAIL} more, in `errors`."] if len(errors) > _IN_DETAIL else []
    kinds = {(problem.status, problem.code) for _, problem in refused}
    status, code = kinds.pop() if len(kinds) == 1 else (422, "request.invalid")
    raise ProblemError(status, code, " ".join(["Nothing was started.", *told, *more]), errors=errors)


@router.get("", responses=problems(), summary="List batches")
def list_batches(
    services: ServicesOf, caller: Reader, cursor: Annotated[Cursor | None, Query()] = None, limit: Limit = 50
) -> BatchPage:
    """Newest first."""
    with services.statements() as session:
        found = batch_store.search(session, creator_id=caller.creator_id, before=cursor, limit=limit + 1)
    page = [BatchLine.model_validate(BatchLine.columns_of(batch)) for batch in found[:limit]]
    return BatchPage(batches=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{batch_id}", responses=problems(404, s404=_NO_BATCH), summary="See how far a batch is")
def show_batch(batch_id: uuid.UUID, services: ServicesOf, caller: Reader) -> BatchView:
    """Counts by state. A job that is tried again after the batch has ended does not open it again."""
    with services.statements() as session:
        batch = batch_store.get(session, batch_id, caller.creator_id)
        if batch is None:
            raise not_found("batch")
        return BatchView.of(batch, {} if batch.ended_at is not None else batch_store.count_states(session, batch.id))


@router.get("/{batch_id}/jobs", responses=problems(404, s404=_NO_BATCH), summary="List the jobs of a batch")
def list_jobs(
    batch_id: uuid.UUID,
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
) -> JobPage:
    """Newest first: all the work behind its videos, which are the jobs' subjects."""
    with services.statements() as session:
        if batch_store.get(session, batch_id, caller.creator_id) is None:
            raise not_found("batch")
        jobs = batch_store.jobs_of(session, batch_id, before=cursor, limit=limit + 1)
    page = [JobView.of(job) for job in jobs[:limit]]
    return JobPage(jobs=page, next_cursor=page[-1].id if len(jobs) > limit else None)


@router.post("/{batch_id}/cancel", responses=problems(404, s404=_NO_BATCH), summary="Cancel a batch")
def cancel_batch(batch_id: uuid.UUID, services: ServicesOf, caller: Writer) -> BatchView:
    """Jobs that have not started at once; running ones are asked to stop. Repeating does no harm."""
    with services.statements() as session:
        if batch_store.get(session, batch_id, caller.creator_id) is None:
            raise not_found("batch")
    left = 1
    while left:  # in small transactions: workers and dispatchers wait for these locks
        with services.sessions.begin() as session:
            left = batch_store.cancel_some(session, batch_id)
    return show_batch(batch_id, services, caller)
