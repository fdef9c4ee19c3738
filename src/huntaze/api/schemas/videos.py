"""Shapes of `/v1/videos`."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from huntaze.api.schemas.base import Body, ErrorView, PrintableText
from huntaze.models.content import Content, ContentTask, TaskStatus
from huntaze.models.video_requests import Accepted
from huntaze.pipelines.video.report import Report

_ID = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_CONTENT = "01980a4e-7c1e-7b7a-9f43-0c7f3a6d2b11"
_JOB = "01980a52-03c9-7a45-9f0e-8be1c6f2d7b4"


_FURTHEST = timedelta(days=90)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def _in_reach(moment: datetime) -> datetime:
    """In UTC, so that the same moment makes the same request."""
    if moment > datetime.now(UTC) + _FURTHEST:
        raise ValueError(f"Expected a time within {_FURTHEST.days} days from now")
    return max(moment, _EARLIEST).astimezone(UTC)


def _spelled_out(value: object) -> object:
    """Numbers would be seconds or milliseconds since 1970, whichever is nearer: nobody should have to guess."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value):
        raise ValueError("Expected a time with its zone, such as 2026-11-22T10:00:00Z")
    return value


RunAt = Annotated[AwareDatetime, BeforeValidator(_spelled_out), AfterValidator(_in_reach)]


class VideoRequest(Body):
    """A video to look at: one of `content_id` and `object_key`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"content_id": _CONTENT},
                {"object_key": "creators/01980a4e-5a30-7f11-8d21-6b1f0c9a4e72/imports/beach.mp4", "cells": 16},
            ]
        }
    )

    content_id: uuid.UUID | None = Field(None, description="from `POST /v1/uploads`")
    object_key: Annotated[PrintableText, Field(max_length=512)] | None = Field(
        None, description="of an object that came by other means; starts with `creators/{creator id}/`"
    )
    cells: Literal[1, 4, 9, 16] | None = Field(
        None, description="how many frames the model is shown, on one grid; by the video's length if not given"
    )
    run_at: RunAt | None = Field(None, description="not before then: at most 90 days ahead; a past time is now")


class VideoAccepted(BaseModel):
    """The same for every repeat of the request. What has become of it is at `url`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": _ID, "content_id": _CONTENT, "job_id": _JOB, "url": f"/v1/videos/{_ID}"}]
        }
    )

    id: uuid.UUID
    content_id: uuid.UUID
    job_id: uuid.UUID
    url: str

    @classmethod
    def of(cls, made: Accepted) -> Self:
        return cls(id=made.task_id, content_id=made.content_id, job_id=made.job_id, url=f"/v1/videos/{made.task_id}")


class Keyframe(BaseModel):
    """One cell of the grid."""

    model_config = ConfigDict(extra="allow")

    cell: int = Field(description="counted from 1 in reading order, as drawn on the grid")
    time_s: float = Field(description="seconds from the start of the video")


class Forecast(BaseModel):
    """Worked out before the model is asked. Output tokens are the most that the answer may have."""

    input_tokens: int
    output_tokens: int
    cost_micro_usd: int


class Usage(BaseModel):
    """What the model's answer took. `sandbox`: no model was asked, the analysis is made up from pixels."""

    model_config = ConfigDict(extra="allow")

    model: str
    sandbox: bool
    calls: int = Field(1, description="2 where the first answer could not be used; 0 if reused")
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int = Field(description="millionths of a US dollar, of all calls")
    reused: bool = Field(False, description="the same pictures were analysed before: nothing was asked or paid")
    reused_from: uuid.UUID | None = Field(None, description="the video whose analysis this is")
    forecast: Forecast | None = Field(None, description="what one call was expected to take at most")


class Reading(BaseModel):
    """What was read of the object: `bytes` in `requests` ranges, of `size` bytes. `way` and `reason` tell how:
    whole, planned by the file's index, on demand, or spooled to disk."""

    model_config = ConfigDict(extra="allow")

    bytes: int
    requests: int
    size: int


class Artifacts(BaseModel):
    """Presigned URLs of the pictures, null until they are there."""

    grid: str | None = Field(None, description="what the model saw (JPEG)")
    poster: str | None = Field(None, description="the best frame (JPEG)")
    poster_webp: str | None = Field(None, description="the same as WebP")
    preview: str | None = Field(None, description="the cells one after the other, without sound (animated WebP)")
    storyboard: str | None = Field(None, description="thumbnails on one picture (JPEG)")
    storyboard_vtt: str | None = Field(
        None,
        description="WebVTT: when each thumbnail is shown. Its cues name the picture `storyboard.jpg`; for a player "
        "there is `/v1/videos/{id}/storyboard.vtt`, which names it by URL",
    )
    expires_at: datetime


class VideoSummary(BaseModel):
    """One line of the list."""

    id: uuid.UUID
    content_id: uuid.UUID
    job_id: uuid.UUID | None = Field(description="the job at work on it now, or the last one that was")
    name: str
    size: int = Field(description="bytes")
    status: TaskStatus
    progress: float = Field(ge=0, le=1)
    error: ErrorView | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def columns_of(cls, task: ContentTask, content: Content) -> dict[str, Any]:
        """The fields of a summary, from the rows."""
        code = task.error_code
        return {
            "id": task.id,
            "content_id": task.content_id,
            "job_id": task.job_id,
            "name": content.name,
            "size": content.size,
            "status": task.status,
            "progress": task.progress,
            "error": None if code is None else ErrorView(code=code, message=task.error_message),
            "created_at": task.created_at,
            "updated_at": task.updated_at,
        }


_SUMMARY: dict[str, Any] = {
    "id": _ID,
    "content_id": _CONTENT,
    "job_id": _JOB,
    "name": "beach.mp4",
    "size": 10485760,
    "status": "succeeded",
    "progress": 1.0,
    "error": None,
    "created_at": "2026-11-02T10:30:00Z",
    "updated_at": "2026-11-02T10:30:05Z",
}


class VideoPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"videos": [_SUMMARY], "next_cursor": _ID}]})

    videos: list[VideoSummary]
    next_cursor: uuid.UUID | None


class Video(VideoSummary):
    """Everything there is about one video. What is not there yet is null."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _SUMMARY
                | {
                    "media": {"container": "mp4", "codec": "h264", "width": 1920, "height": 1080, "duration_s": 12.5},
                    "keyframes": [{"cell": 1, "time_s": 0.0}, {"cell": 2, "time_s": 1.4}],
                    "analysis": {
                        "summary": "Two people walk along a beach at sunset.",
                        "tags": ["beach", "sunset"],
                        "scenes": [{"cell": 1, "time_s": 0.0, "description": "Two people walk towards the sea."}],
                        "cover": {"cell": 2, "time_s": 1.4, "reason": "Both faces are lit and sharp."},
                        "titles": ["The last light"],
                        "captions": ["We stayed until it was gone."],
                        "hooks": ["Wait for the green flash."],
                        "language": None,
                        "content_rating": "general",
                        "safety_flags": [],
                        "quality_notes": [],
                        "confidence": 0.8,
                        "notes": [],
                        "dropped": 0,
                        "prompt_version": "2",
                    },
                    "usage": {
                        "model": "Phi-4-multimodal-instruct",
                        "sandbox": False,
                        "calls": 1,
                        "input_tokens": 3120,
                        "output_tokens": 210,
                        "cost_micro_usd": 317,
                        "reused": False,
                        "reused_from": None,
                        "forecast": {"input_tokens": 3225, "output_tokens": 1720, "cost_micro_usd": 809},
                    },
                    "reading": {"bytes": 1310720, "requests": 14, "size": 10485760},
                    "artifacts": {
                        "grid": "https://huntaze-media.s3.amazonaws.com/...",
                        "poster": "https://huntaze-media.s3.amazonaws.com/...",
                        "poster_webp": "https://huntaze-media.s3.amazonaws.com/...",
                        "preview": "https://huntaze-media.s3.amazonaws.com/...",
                        "storyboard": "https://huntaze-media.s3.amazonaws.com/...",
                        "storyboard_vtt": "https://huntaze-media.s3.amazonaws.com/...",
                        "expires_at": "2026-11-02T11:30:00Z",
                    },
                }
            ]
        }
    )

    media: dict[str, Any] | None = Field(description="container, codec, width, height, duration_s, ...")
    keyframes: list[Keyframe] | None
    analysis: Report | None = Field(description="the model's report, checked: texts are plain, never markup")
    usage: Usage | None
    reading: Reading | None
    artifacts: Artifacts | None
