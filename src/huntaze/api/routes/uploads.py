"""Where a file may be uploaded to. The bytes never come through here."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter

from huntaze.api.auth import Writer
from huntaze.api.problems import problems, refuse_field
from huntaze.api.schemas.uploads import VIDEO_TYPES, Upload, UploadRequest
from huntaze.api.services import ServicesOf
from huntaze.models.base import new_id
from huntaze.models.content import Content

URL_LIFETIME_S = 3600

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


@router.post("", status_code=201, responses=problems(400, 413), summary="Get a URL to upload a file to")
def promise_upload(body: UploadRequest, services: ServicesOf, caller: Writer) -> Upload:
    """The URL takes one PUT of exactly `size` bytes of exactly `type`, for an hour. Then call `POST /v1/videos`."""
    limit = services.settings.api.max_upload_bytes
    if body.size > limit:
        raise refuse_field(422, "request.invalid", "size", f"An upload may have {limit} bytes at most.")
    content_id = new_id()
    key = f"creators/{caller.creator_id}/uploads/{content_id}/source.{VIDEO_TYPES[body.type]}"
    # Before the signature is made, so that the promise ends no later than it says.
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=URL_LIFETIME_S)
    url = services.objects.presign_put(key, body.size, body.type, URL_LIFETIME_S)
    with services.sessions.begin() as session:
        session.add(
            Content(
                id=content_id,
                creator_id=caller.creator_id,
                kind="video",
                name=body.name,
                object_key=key,
                content_type=body.type,
                size=body.size,
            )
        )
    headers = {"Content-Length": str(body.size), "Content-Type": body.type}
    return Upload(content_id=content_id, object_key=key, url=url, headers=headers, expires_at=expires_at)
