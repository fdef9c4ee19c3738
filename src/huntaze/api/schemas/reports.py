"""Shapes of `/v1/reports`."""

import uuid
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from huntaze.api.schemas.base import Body

_FILE: dict[str, Any] = {
    "format": "pdf",
    "type": "application/pdf",
    "size": 91_204,
    "url": "https://s3.example.com/creators/.../report.pdf?X-Amz-Signature=...",
}
_REPORT: dict[str, Any] = {
    "id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
    "cadence": "asked",
    "first": "2026-10-01",
    "last": "2026-10-31",
    "zone": "Europe/Paris",
    "state": "ready",
    "job_id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3ab",
    "files": [_FILE],
    "created_at": "2026-11-02T09:00:00Z",
    "ready_at": "2026-11-02T09:00:03Z",
}


class ReportRequest(Body):
    """Whole days of the creator's zone; what is left out makes it the last thirty."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"first": "2026-10-01", "last": "2026-10-31"}]})

    first: date | None = Field(None, description="first day")
    last: date | None = Field(None, description="last day, included; default: today")


class FileView(BaseModel):
    """A file of a report. The URL works for an hour."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FILE]})

    format: str = Field(description="pdf, html, csv, parquet")
    type: str
    size: int = Field(description="bytes")
    url: str


class ReportView(BaseModel):
    """A report; `files` once it is ready."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    id: uuid.UUID
    cadence: str = Field(description="week, month (by schedule), asked")
    first: date
    last: date
    zone: str
    state: str = Field(description="making, ready, failed")
    job_id: uuid.UUID | None = Field(description="follow it at /v1/jobs/{id}; of a report by schedule there is none")
    files: list[FileView]
    created_at: datetime
    ready_at: datetime | None


class ReportPage(BaseModel):
    """Reports, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reports": [_REPORT], "next_cursor": None}]})

    reports: list[ReportView]
    next_cursor: uuid.UUID | None
