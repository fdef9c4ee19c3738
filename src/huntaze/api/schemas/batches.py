"""Shapes of `/v1/batches`."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.api.schemas.base import Body, PrintableText
from huntaze.api.schemas.videos import VideoAccepted, VideoRequest
from huntaze.models import batch_store
from huntaze.models.batches import Batch
from huntaze.models.jobs import JobState

MOST_VIDEOS = 1000

_ID = "01980a60-11c2-7b3e-8a44-6f0d2c9e5b17"
_VIDEO = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_CONTENT = "01980a4e-7c1e-7b7a-9f43-0c7f3a6d2b11"
_JOB = "01980a52-03c9-7a45-9f0e-8be1c6f2d7b4"
_CREATOR = "01980a4e-5a30-7f11-8d21-6b1f0c9a4e72"


class BatchRequest(Body):
    """Videos to look at, each as in `POST /v1/videos`. Taken together or not at all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "summer",
                    "videos": [
                        {"content_id": _CONTENT},
                        {"object_key": f"creators/{_CREATOR}/imports/beach.mp4", "cells": 16},
                    ],
                }
            ]
        }
    )

    name: Annotated[PrintableText, Field(max_length=255)] | None = None
    videos: list[VideoRequest] = Field(
        min_length=1,
        max_length=MOST_VIDEOS,
        description="an object that is named more than once is looked at as often, each time as a video of its own",
    )


class BatchAccepted(BaseModel):
    """The same for every repeat of the request. What has become of it is at `url`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "url": f"/v1/batches/{_ID}",
                    "videos": [{"id": _VIDEO, "content_id": _CONTENT, "job_id": _JOB, "url": f"/v1/videos/{_VIDEO}"}],
                }
            ]
        }
    )

    id: uuid.UUID
    url: str
    videos: list[VideoAccepted] = Field(description="in the order of the request")


class BatchCounts(BaseModel):
    """How many videos stand where. A video counts once, by its last job."""

    waiting: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


_LINE: dict[str, Any] = {
    "id": _ID,
    "name": "summer",
    "total": 40,
    "created_at": "2026-11-02T10:30:00Z",
    "ended_at": None,
}


class BatchLine(BaseModel):
    """One line of the list."""

    id: uuid.UUID
    name: str | None
    total: int = Field(description="videos")
    created_at: datetime
    ended_at: datetime | None = Field(description="when it was seen that all have ended; the event is `batch.ended`")

    @classmethod
    def columns_of(cls, batch: Batch) -> dict[str, Any]:
        """The fields of a line, from the row."""
        return {name: getattr(batch, name) for name in BatchLine.model_fields}


class BatchView(BatchLine):
    """A batch as it stands; once it has ended, as it stood then."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _LINE
                | {
                    "progress": 0.75,
                    "counts": {"waiting": 4, "queued": 4, "running": 2, "succeeded": 28, "failed": 2, "cancelled": 0},
                }
            ]
        }
    )

    progress: float = Field(ge=0, le=1, description="the share that has ended")
    counts: BatchCounts

    @classmethod
    def of(cls, batch: Batch, live: Mapping[JobState, int]) -> Self:
        """`live`: {state: videos} now; what an ended batch came to is in its row."""
        counts = dict.fromkeys(JobState, 0) | dict(live)
        if batch.ended_at is not None:
            ended = batch_store.counts_of(batch)
            counts = dict.fromkeys(JobState, 0) | {
                JobState.SUCCEEDED: ended.succeeded,
                JobState.FAILED: ended.failed,
                JobState.CANCELLED: ended.cancelled,
            }
        done = counts[JobState.SUCCEEDED] + counts[JobState.FAILED] + counts[JobState.CANCELLED]
        progress = 1.0 if batch.ended_at is not None else min(done / max(batch.total, 1), 1.0)
        return cls.model_validate({**cls.columns_of(batch), "progress": progress, "counts": counts})


class BatchPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"batches": [_LINE], "next_cursor": _ID}]})

    batches: list[BatchLine]
    next_cursor: uuid.UUID | None
