"""Shapes of `/v1/trend-reports`."""

import uuid
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from huntaze.api.schemas.reports import FileView

_WORDS: dict[str, Any] = {
    "paragraphs": ["The strongest was #sourdough on tiktok: 12 posts by 9 authors raised the alarm."],
    "source": "model",
}
_REPORT: dict[str, Any] = {
    "id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
    "cadence": "week",
    "first": "2026-11-16",
    "last": "2026-11-22",
    "state": "ready",
    "job_id": None,
    "words": _WORDS,
    "files": [
        {
            "format": "pdf",
            "type": "application/pdf",
            "size": 91_204,
            "url": "https://s3.example.com/creators/.../report.pdf?X-Amz-Signature=...",
        }
    ],
    "created_at": "2026-11-23T06:00:00Z",
    "ready_at": "2026-11-23T06:00:09Z",
}


class WordsView(BaseModel):
    """What the week's figures mean. Every number in it is one of the report's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WORDS]})

    paragraphs: list[str]
    source: str = Field(description="model, sandbox (no model was asked) or template (the figures in plain sentences)")


class TrendReportView(BaseModel):
    """A report; `words` and `files` once it is ready."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    id: uuid.UUID
    cadence: str = Field(description="week (by schedule, Monday to Sunday), asked")
    first: date = Field(description="first day, UTC")
    last: date = Field(description="last day, included")
    state: str = Field(description="making, ready, failed")
    job_id: uuid.UUID | None = Field(description="follow it at /v1/jobs/{id}; of a report by schedule there is none")
    words: WordsView | None
    files: list[FileView]
    created_at: datetime
    ready_at: datetime | None


class TrendReportPage(BaseModel):
    """Reports, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reports": [_REPORT], "next_cursor": None}]})

    reports: list[TrendReportView]
    next_cursor: uuid.UUID | None
