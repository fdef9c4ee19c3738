"""Shapes of `/v1/webhooks`."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import Row

from huntaze.api.schemas.base import Body, PrintableText
from huntaze.models.webhooks import DeliveryState, DisabledReason, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from huntaze.pipelines.webhooks.patterns import is_pattern
from huntaze.pipelines.webhooks.targets import MAX_URL_CHARS

_ID = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_EVENT_ID = "01980a52-0a11-7c3e-8d10-9b2f4e6a7c55"


def _pattern(value: str) -> str:
    if not is_pattern(value):
        raise ValueError("Expected an event's type, as video.analyzed, all of a noun, as video.*, or *")
    return value


Pattern = Annotated[str, StringConstraints(max_length=64), AfterValidator(_pattern)]
Types = Annotated[
    list[Pattern],
    Field(min_length=1, max_length=50, description="`video.analyzed`, `video.*` for all that begins so, `*` for all"),
]
Url = Annotated[
    str,
    Field(max_length=MAX_URL_CHARS, description="https, on a public host; it is told by POST and has 15 s to answer"),
]
Description = Annotated[PrintableText, Field(max_length=255)]
_WANTED: dict[str, Any] = {"url": "https://hooks.example.com/huntaze", "types": ["video.*", "job.failed"]}


class WebhookRequest(Body):
    """A URL that is to be told of events."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WANTED]})

    url: Url
    types: Types
    description: Description | None = None


class WebhookChange(Body):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"types": ["*"], "enabled": True}]})

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    enabled: bool | None = Field(None, description="true also takes back what failures had disabled")

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        for name in self.model_fields_set - {"description"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


_VIEW: dict[str, Any] = {
    "id": _ID,
    **_WANTED,
    "description": None,
    "enabled": True,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": "2026-11-02T10:30:00Z",
}


class WebhookView(BaseModel):
    """An endpoint; never its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VIEW]})

    id: uuid.UUID
    url: str
    types: list[str]
    description: str | None
    enabled: bool = Field(description="whether it is told of events")
    disabled_reason: DisabledReason | None = Field(
        description="`asked`: by a PATCH; `gone`: it answered 410; `failing`: five days without any success"
    )
    failing_since: datetime | None = Field(description="the first failure after its last success")
    created_at: datetime

    @classmethod
    def columns_of(cls, row: WebhookEndpoint) -> dict[str, Any]:
        """The fields of the view, from the row."""
        same = ("id", "url", "types", "description", "disabled_reason", "failing_since", "created_at")
        return {**{name: getattr(row, name) for name in same}, "enabled": row.disabled_reason is None}

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        return cls.model_validate(cls.columns_of(row))


class WebhookCreated(WebhookView):
    """An endpoint with its secret, which is told this once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_VIEW | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}]}
    )

    secret: str = Field(description="for the signatures of Standard Webhooks; keep it, it is not shown again")


class WebhookPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"webhooks": [_VIEW], "next_cursor": None}]})

    webhooks: list[WebhookView]
    next_cursor: uuid.UUID | None


class Rotation(Body):
    """How long the old secret signs beside the new one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_s": 86400}]})

    overlap_s: int = Field(86_400, ge=0, le=7 * 86_400, description="seconds; 0 ends the old one at once")


class NewSecret(BaseModel):
    """A secret, told this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}]})

    secret: str


class SentTest(BaseModel):
    """The event of a test; its delivery is in the log under this id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_id": _EVENT_ID}]})

    event_id: uuid.UUID


class ReplayRequest(Body):
    """A range of time, by when the events were written: `since` is in it, `until` is not."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"since": "2026-11-02T10:00:00Z", "until": "2026-11-02T12:00:00Z"}]}
    )

    since: AwareDatetime
    until: AwareDatetime
    delivered: bool = Field(False, description="what arrived, too; else what failed or was never sent")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since >= self.until:
            raise ValueError("since must be before until")
        return self


class ReplayAccepted(BaseModel):
    """The job that does it, under `/v1/jobs`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"job_id": _EVENT_ID}]})

    job_id: uuid.UUID


_DELIVERY: dict[str, Any] = {
    "event_id": _EVENT_ID,
    "type": "video.analyzed",
    "position": 1042,
    "subject_id": _ID,
    "state": "sending",
    "attempts": 1,
    "status": 503,
    "error_code": None,
    "next_attempt_at": "2026-11-02T10:30:10Z",
    "created_at": "2026-11-02T10:30:05Z",
    "ended_at": None,
}


class DeliveryView(BaseModel):
    """One event for one endpoint."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    event_id: uuid.UUID = Field(description="`webhook-id` of the message: the same each time it is sent")
    type: str
    position: int = Field(description="the event's place in the stream")
    subject_id: uuid.UUID
    state: DeliveryState = Field(
        description="`sending`: under way, or tried again at `next_attempt_at`; `waiting`: behind an earlier event of "
        "its subject; `delivered`: answered with 2xx; `failed`: given up"
    )
    attempts: int
    status: int | None = Field(description="what the last attempt was answered with; null: with nothing")
    error_code: str | None = Field(description="why it was given up")
    next_attempt_at: datetime | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def columns_of(cls, row: Row[WebhookDelivery, str]) -> dict[str, Any]:
        """The fields of the view, from (delivery, type)."""
        delivery, type = row
        return {**{name: getattr(delivery, name) for name in cls.model_fields if hasattr(delivery, name)}, "type": type}

    @classmethod
    def of(cls, row: Row[WebhookDelivery, str]) -> Self:
        return cls.model_validate(cls.columns_of(row))


class AttemptView(BaseModel):
    """One request. `error` says why nothing was answered, where nothing was."""

    ended_at: datetime
    seconds: float
    status: int | None
    error: str | None


class DeliveryDetail(DeliveryView):
    """A delivery with its attempts, oldest first: the last hundred, resends included."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _DELIVERY
                | {"log": [{"ended_at": "2026-11-02T10:30:05Z", "seconds": 0.21, "status": 503, "error": None}]}
            ]
        }
    )

    log: list[AttemptView]

    @classmethod
    def with_attempts(cls, row: Row[WebhookDelivery, str], attempts: list[WebhookAttempt]) -> Self:
        names = tuple(AttemptView.model_fields)
        log = [{name: getattr(attempt, name) for name in names} for attempt in attempts]
        return cls.model_validate({**DeliveryView.columns_of(row), "log": log})


class DeliveryPage(BaseModel):
    """Newest first. `next_cursor`, a position, is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"deliveries": [_DELIVERY], "next_cursor": None}]})

    deliveries: list[DeliveryView]
    next_cursor: int | None
