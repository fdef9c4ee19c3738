"""Shapes of `/v1/jobs`. Of an attempt's error only the code is shown: its text may be a traceback."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.api.schemas.base import ErrorView
from huntaze.models.jobs import AttemptOutcome, Job, JobState

_EXAMPLE: dict[str, Any] = {
    "id": "01980a52-03c9-7a45-9f0e-8be1c6f2d7b4",
    "kind": "video.extract",
    "state": "running",
    "subject_id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
    "progress": 0.4,
    "stage": "frames",
    "attempt": 1,
    "max_attempts": 5,
    "cancel_requested": False,
    "error": None,
    "created_at": "2026-11-02T10:30:00Z",
    "run_at": "2026-11-02T10:30:00Z",
    "queued_at": "2026-11-02T10:30:00.010Z",
    "started_at": "2026-11-02T10:30:00.050Z",
    "finished_at": None,
}


class JobView(BaseModel):
    """One unit of work."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: uuid.UUID
    kind: str
    state: JobState
    subject_id: uuid.UUID | None = Field(description="what it works on: a video")
    progress: float = Field(ge=0, le=1)
    stage: str | None
    attempt: int = Field(description="how often it was started")
    max_attempts: int = Field(description="how many attempts may end in an error")
    cancel_requested: bool
    error: ErrorView | None = Field(description="why it failed, or why it is tried again")
    created_at: datetime
    run_at: datetime = Field(description="not before then")
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def columns_of(cls, job: Job) -> dict[str, Any]:
        """The fields of the view, from the row."""
        same = ("id", "kind", "state", "subject_id", "progress", "stage", "attempt", "max_attempts")
        times = ("created_at", "run_at", "queued_at", "started_at", "finished_at")
        code = job.error_code
        return {
            **{name: getattr(job, name) for name in same + times},
            "cancel_requested": job.cancel_requested_at is not None,
            "error": None if code is None else ErrorView(code=code, message=job.error_message),
        }

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls.model_validate(cls.columns_of(job))


class Stage(BaseModel):
    """How long one step of an attempt took."""

    name: str
    seconds: float


class AttemptView(BaseModel):
    """One attempt; without an outcome it is still running."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    error_code: str | None
    stages: list[Stage]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        shown = ("attempt", "started_at", "ended_at", "outcome", "error_code")
        return cls.model_validate({**{name: row[name] for name in shown}, "stages": row["stages"] or []})


class JobDetail(JobView):
    """A job with its attempts, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _EXAMPLE
                | {
                    "state": "succeeded",
                    "progress": 1.0,
                    "finished_at": "2026-11-02T10:30:02Z",
                    "attempts": [
                        {
                            "attempt": 1,
                            "started_at": "2026-11-02T10:30:00.050Z",
                            "ended_at": "2026-11-02T10:30:02Z",
                            "outcome": "succeeded",
                            "error_code": None,
                            "stages": [{"name": "frames", "seconds": 1.31}, {"name": "grid", "seconds": 0.06}],
                        }
                    ],
                }
            ]
        }
    )

    attempts: list[AttemptView]

    @classmethod
    def with_attempts(cls, job: Job, attempts: Sequence[Mapping[Any, Any]]) -> Self:
        views = [AttemptView.of(attempt) for attempt in attempts]
        return cls.model_validate({**cls.columns_of(job), "attempts": views})


class JobPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [_EXAMPLE], "next_cursor": _EXAMPLE["id"]}]})

    jobs: list[JobView]
    next_cursor: uuid.UUID | None
