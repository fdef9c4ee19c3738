"""Videos to look at, and what was seen."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import not_found, problems
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.videos import Artifacts, Video, VideoAccepted, VideoPage, VideoRequest, VideoSummary
from huntaze.api.services import Services, ServicesOf
from huntaze.api.video_sources import LOCATION, IdempotencyKey, dedupe_key_of, fingerprint_of, look, source_of
from huntaze.models import content_store, video_requests
from huntaze.models.content import ContentTask, TaskStatus
from huntaze.models.video_requests import Accepted, WantedVideo
from huntaze.pipelines.video.storyboard import with_sprite

URL_LIFETIME_S = 3600
_VTT_EXAMPLE = "WEBVTT\n\n00:00:00.000 --> 00:00:01.400\nhttps://...#xywh=0,0,256,144\n"
_VTT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "WebVTT",
        "content": {"text/vtt": {"schema": {"type": "string"}, "example": _VTT_EXAMPLE}},
    }
}

router = APIRouter(prefix="/v1/videos", tags=["videos"])


@router.post(
    "",
    status_code=202,
    responses=LOCATION | problems(400, 404, 409, 413, s404=("content.not_found", "There is no content with this id.")),
    summary="Look at a video",
)
def accept_video(
    body: VideoRequest, services: ServicesOf, caller: Writer, response: Response, idempotency_key: IdempotencyKey = None
) -> VideoAccepted:
    """The file must have been uploaded. A repeat with the same `Idempotency-Key` gets the same answer and starts
    nothing; with another body it is refused (409 `request.key_reused`)."""
    accepted = VideoAccepted.of(_accept(services, caller, body, dedupe_key_of(caller, idempotency_key)))
    response.headers["Location"] = accepted.url
    return accepted


def _accept(services: Services, caller: Caller, body: VideoRequest, dedupe_key: str | None) -> Accepted:
    fingerprint = fingerprint_of(body)
    with services.statements() as session:
        # First: a repeat must not depend on whether the object is still there, or the store answers.
        earlier = None if dedupe_key is None else video_requests.find(session, dedupe_key, fingerprint)
        if earlier is not None:
            return earlier
        ids = [] if body.content_id is None else [body.content_id]
        source = source_of(caller, body, content_store.find_contents(session, caller.creator_id, ids) if ids else {})
    # Between two units of work: no connection is held while the store is asked.
    video = WantedVideo(look(services, source), body.cells, body.run_at)
    with services.statements.begin() as session:
        return video_requests.accept(session, caller.creator_id, video, dedupe_key, fingerprint)


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


@router.get(
    "/{video_id}/storyboard.vtt",
    response_class=Response,
    responses=_VTT | problems(404, s404=("storyboard.not_found", "There is no storyboard with this id.")),
    summary="Thumbnails for a player's seek bar",
)
def show_storyboard(video_id: uuid.UUID, services: ServicesOf, caller: Reader) -> Response:
    """Each cue names the picture by a URL that holds for an hour and cuts the thumbnail out by `#xywh`, as video.js,
    Plyr and JW Player read it."""
    with services.statements() as session:
        found = content_store.get_task(session, video_id, caller.creator_id)
    keys = (found[0].artifacts if found else None) or {}
    if not {"storyboard", "storyboard_vtt"} <= keys.keys():
        raise not_found("storyboard")
    vtt = services.objects.read(keys["storyboard_vtt"]).decode()
    body = with_sprite(vtt, services.objects.presign_get(keys["storyboard"], URL_LIFETIME_S))
    return Response(body, media_type="text/vtt", headers={"Cache-Control": "private, no-store"})


def _artifacts(services: Services, task: ContentTask) -> Artifacts | None:
    if task.artifacts is None:
        return None
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=URL_LIFETIME_S)
    names = [name for name in Artifacts.model_fields if name in task.artifacts]
    urls = {name: services.objects.presign_get(task.artifacts[name], URL_LIFETIME_S) for name in names}
    return Artifacts.model_validate({**urls, "expires_at": expires_at})
