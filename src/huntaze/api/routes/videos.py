"""Videos to look at, and what was seen."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from sqlalchemy.orm import Session

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.videos import Artifacts, Video, VideoAccepted, VideoPage, VideoRequest, VideoSummary
from huntaze.api.services import LOOK_UP_WAIT_S, Services, ServicesOf
from huntaze.clients.object_store import NoSuchObject, ObjectInfo, StorageAway
from huntaze.models import content_store, video_requests
from huntaze.models.content import ContentTask, TaskStatus
from huntaze.models.video_requests import Accepted, SeenObject

URL_LIFETIME_S = 3600

router = APIRouter(prefix="/v1/videos", tags=["videos"])

_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "where it is seen", "schema": {"type": "string"}}}}
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,200}$",
        description="makes the request safe to repeat: printable ASCII, 200 characters at most, new for each video",
        examples=["0f6c2f6e-5d1b-4f0e-9c44-1f8f5e7c2a10"],
    ),
]


@router.post(
    "",
    status_code=202,
    responses=_LOCATION | problems(400, 404, 409, 413, s404=("content.not_found", "There is no content with this id.")),
    summary="Look at a video",
)
def accept_video(
    body: VideoRequest, services: ServicesOf, caller: Writer, response: Response, idempotency_key: IdempotencyKey = None
) -> VideoAccepted:
    """The file must have been uploaded. A repeat with the same `Idempotency-Key` gets the same answer and starts
    nothing; with another body it is refused (409 `request.key_reused`)."""
    dedupe_key = None if idempotency_key is None else f"api:{caller.creator_id}:{idempotency_key}"
    made = _accept(services, caller, body, dedupe_key)
    accepted = VideoAccepted(
        id=made.task_id, content_id=made.content_id, job_id=made.job_id, url=f"/v1/videos/{made.task_id}"
    )
    response.headers["Location"] = accepted.url
    return accepted


def _accept(services: Services, caller: Caller, body: VideoRequest, dedupe_key: str | None) -> Accepted:
    fingerprint = _fingerprint(body)
    with services.statements() as session:
        # First: a repeat must not depend on whether the object is still there, or the store answers.
        earlier = None if dedupe_key is None else video_requests.find(session, dedupe_key, fingerprint)
        if earlier is not None:
            return earlier
        source = _source(session, caller, body)
    # Between two units of work: no connection is held while the store is asked.
    found = _look(services, source)
    seen = SeenObject(source.object_key, source.name, found.content_type[:100], found.size, found.etag)
    with services.sessions.begin() as session:
        return video_requests.accept(session, caller.creator_id, seen, body.cells, dedupe_key, fingerprint)


def _fingerprint(body: VideoRequest) -> str:
    """SHA-256 of the request as it was understood: spelling out a default makes no other request."""
    canonical = json.dumps(body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class _Source:
    """The object that was named, by which field."""

    field: str
    object_key: str
    name: str


def _source(session: Session, caller: Caller, body: VideoRequest) -> _Source:
    if (body.content_id is None) == (body.object_key is None):
        raise refuse_field(422, "request.invalid", "content_id", "Send one of content_id and object_key.")
    if body.content_id is not None:
        content = content_store.find_content(session, caller.creator_id, body.content_id)
        if content is None:
            raise refuse_field(404, "content.not_found", "content_id", "There is no content with this id.")
        return _Source("content_id", *content)
    key, prefix = body.object_key or "", f"creators/{caller.creator_id}/"
    # Stores that keep objects as files, and proxies before them, resolve dots and doubled slashes.
    if not key.startswith(prefix) or any(part in ("", ".", "..") for part in key.split("/")):
        message = f"Expected a key that starts with {prefix}, without empty or dotted parts."
        raise refuse_field(422, "request.invalid", "object_key", message)
    return _Source("object_key", key, key.rsplit("/", 1)[-1][:255])


def _look(services: Services, source: _Source) -> ObjectInfo:
    """What the store has under the key. Raises ProblemError if that is nothing to look at, and StorageAway."""
    if not services.look_ups.acquire(timeout=LOOK_UP_WAIT_S):
        raise StorageAway("Too many requests wait for the object store; nothing was changed. Try again.")
    try:
        seen = services.objects.head(source.object_key)
    except NoSuchObject:
        message = "Nothing was uploaded there yet; upload the file first, then repeat this request."
        raise refuse_field(409, "content.not_uploaded", source.field, message) from None
    finally:
        services.look_ups.release()
    if seen.size == 0:
        raise refuse_field(422, "content.empty", source.field, "The uploaded file is empty.")
    limit = services.settings.api.max_upload_bytes
    if seen.size > limit:
        message = f"The file has {seen.size} bytes; {limit} are the most."
        raise refuse_field(422, "content.too_large", source.field, message)
    return seen


@router.get("", responses=problems(), summary="List videos")
def list_videos(
    services: ServicesOf,
    caller: Reader,
    status: Annotated[TaskStatus | None, Query()] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> VideoPage:
    """Newest first."""
    with services.statements() as session:
        rows = content_store.list_tasks(session, caller.creator_id, status=status, before=cursor, limit=limit + 1)
    videos = [VideoSummary.model_validate(VideoSummary.columns_of(*row)) for row in rows[:limit]]
    return VideoPage(videos=videos, next_cursor=videos[-1].id if len(rows) > limit else None)


@router.get(
    "/{video_id}",
    responses=problems(404, s404=("video.not_found", "There is no video with this id.")),
    summary="See what was seen",
)
def show_video(video_id: uuid.UUID, services: ServicesOf, caller: Reader) -> Video:
    """Status, facts, analysis, and URLs of the pictures that hold for an hour."""
    with services.statements() as session:
        found = content_store.get_task(session, video_id, caller.creator_id)
    if found is None:
        raise not_found("video")
    task, content = found
    parts = {name: getattr(task, name) for name in ("media", "keyframes", "analysis", "usage", "reading")}
    columns = VideoSummary.columns_of(task, content)
    return Video.model_validate({**columns, **parts, "artifacts": _artifacts(services, task)})


def _artifacts(services: Services, task: ContentTask) -> Artifacts | None:
    if task.artifacts is None:
        return None
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=URL_LIFETIME_S)
    names = [name for name in Artifacts.model_fields if name in task.artifacts]
    urls = {name: services.objects.presign_get(task.artifacts[name], URL_LIFETIME_S) for name in names}
    return Artifacts.model_validate({**urls, "expires_at": expires_at})
