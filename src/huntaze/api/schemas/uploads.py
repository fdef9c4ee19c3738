"""Shapes of `/v1/uploads`."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from huntaze.api.schemas.base import Body, PrintableText

# What browsers call the videos that the fleet can read, and the end of the object's name. The type is a label:
# whether it is a video is found out by looking. `application/octet-stream` is refused, because the object is served
# under its type, and because a client that does not know what it uploads had better find out before it does.
VIDEO_TYPES = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-m4v": "m4v",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/matroska": "mkv",
    "video/x-msvideo": "avi",
    "video/vnd.avi": "avi",
    "video/avi": "avi",
    "video/mp2t": "ts",
    "video/mpeg": "mpg",
    "video/3gpp": "3gp",
    "video/3gpp2": "3g2",
    "video/ogg": "ogv",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
}


def _known(value: str) -> str:
    if value not in VIDEO_TYPES:
        raise ValueError(f"Expected one of {', '.join(VIDEO_TYPES)}")
    return value


VideoType = Annotated[
    str, StringConstraints(to_lower=True, strip_whitespace=True, max_length=100), AfterValidator(_known)
]


class UploadRequest(Body):
    """A file that the creator wants to upload."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "beach.mp4", "size": 10485760, "type": "video/mp4"}]}
    )

    name: Annotated[PrintableText, Field(max_length=255, description="as the creator calls it; never part of a path")]
    size: int = Field(strict=True, ge=1, description="bytes, exactly")
    type: Annotated[VideoType, Field(description="media type: " + ", ".join(VIDEO_TYPES))]


class Upload(BaseModel):
    """A promise: `url` takes exactly this many bytes of exactly this type, until `expires_at`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "content_id": "01980a4e-7c1e-7b7a-9f43-0c7f3a6d2b11",
                    "object_key": "creators/01980a4e-5a30-7f11-8d21-6b1f0c9a4e72/uploads/01980a4e-7c1e-7b7a-9f43-"
                    "0c7f3a6d2b11/source.mp4",
                    "url": "https://huntaze-media.s3.amazonaws.com/creators/...?X-Amz-Signature=...",
                    "method": "PUT",
                    "headers": {"Content-Length": "10485760", "Content-Type": "video/mp4"},
                    "expires_at": "2026-11-02T11:30:00Z",
                }
            ]
        }
    )

    content_id: uuid.UUID = Field(description="what `POST /v1/videos` takes once the file is there")
    object_key: str
    url: str = Field(description="presigned: whoever has it may upload this one file")
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str] = Field(description="to be sent as they are; browsers set Content-Length themselves")
    expires_at: datetime
