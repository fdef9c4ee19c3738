"""Shapes of `/v1/analytics/events` and `/v1/analytics/erasures`."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from huntaze.api.schemas.base import Body
from huntaze.pipelines.analytics.facts import MOST_LABEL, MOST_REVISION, MOST_VALUE

MOST_EVENTS = 5000

_ID = "01980a60-11c2-7b3e-8a44-6f0d2c9e5b17"
_ERASURE = "01980a61-5b17-7d3e-9a44-0f0d2c9e5b17"
_JOB = "01980a52-03c9-7a45-9f0e-8be1c6f2d7b4"
_VIEW: dict[str, Any] = {
    "id": _ID,
    "metric": "content.views",
    "occurred_at": "2026-11-02T10:30:00Z",
    "label": "beach",
    "person": "fan-7",
}
_ANSWER: dict[str, Any] = {"id": "01980a60-11c3-7b3e-8a44-6f0d2c9e5b17", "metric": "messages.response", "value": 41_000}

Person = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Field(description="whoever did it, by any stable name; only a pseudonym of it is kept"),
]


class EventBody(Body):
    """One event. UUIDv7 ids are stored quickest."""

    id: uuid.UUID = Field(description="of the event, not of the request: it counts once, however often it is sent")
    metric: str = Field(max_length=64, examples=["content.views"])
    occurred_at: AwareDatetime = Field(description="not before the oldest facts that are kept, nor in the future")
    value: Annotated[int, Field(strict=True, ge=-MOST_VALUE, le=MOST_VALUE)] | None = Field(
        None, description="a whole number in the metric's unit, where it has one"
    )
    label: (
        Annotated[str, StringConstraints(min_length=1, max_length=MOST_LABEL, pattern=r"^[^\x00-\x1f\x7f]+$")] | None
    ) = Field(None, description="what the metric tells its events apart by, where it does")
    person: Person | None = None
    revision: int = Field(
        0, ge=0, lt=MOST_REVISION, description="a correction of an event has its id and a higher revision than before"
    )


class EventBatch(Body):
    """Events of one creator. Taken together or not at all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"events": [_VIEW, {**_ANSWER, "occurred_at": "2026-11-02T10:31:00Z"}]}]}
    )

    events: list[EventBody] = Field(min_length=1, max_length=MOST_EVENTS)


class EventsTaken(BaseModel):
    """What became of the events. A figure has them within minutes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"accepted": 4990, "repeated": 8, "replaced": 2}]})

    accepted: int = Field(description="new ones")
    repeated: int = Field(description="known already: they change nothing")
    replaced: int = Field(description="corrections that took the place of what was there")


class ErasureRequest(Body):
    """The person, by the name that its events had."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"person": "fan-7"}]})

    person: Person


class ErasureView(BaseModel):
    """A request for erasure; with `done_at`, the receipt."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": _ERASURE,
                    "facts": 212,
                    "buckets": 187,
                    "asked_at": "2026-11-02T10:30:00Z",
                    "done_at": "2026-11-02T10:30:09Z",
                }
            ]
        },
    )

    id: uuid.UUID
    facts: int = Field(description="events that were deleted")
    buckets: int = Field(description="figures that were counted anew")
    asked_at: datetime
    done_at: datetime | None = Field(description="when nothing of the person could be found any more")


class ErasureAccepted(BaseModel):
    """The receipt will be at `url`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": _ERASURE, "job_id": _JOB, "url": f"/v1/analytics/erasures/{_ERASURE}"}]}
    )

    id: uuid.UUID
    job_id: uuid.UUID
    url: str
