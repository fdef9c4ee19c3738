"""Shapes of `/v1/sources`."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.api.schemas.base import Body, PrintableText
from huntaze.models.trend_source_store import Changes
from huntaze.models.trend_sources import RunState, SourceState, TrendRun, TrendSource, Verdict
from huntaze.pipelines.trends.posts.post import Platform
from huntaze.pipelines.trends.posts.sources import CHARGE_MOST, ITEMS_MOST, SourceSpec

_ID = "01980a60-11c2-7b3e-8a44-6f0d2c9e5b17"
_RUN = "01980a60-2f00-7c11-9d3a-0b6f1c9e4a72"

Cron = Annotated[str, Field(max_length=64, description="five fields, UTC; runs at least 15 minutes apart")]
Items = Annotated[int, Field(ge=1, le=ITEMS_MOST, description="most posts of one run: the size of its sample")]
Charge = Annotated[
    int, Field(ge=1, le=CHARGE_MOST, description="most that one run may cost, in millionths of a dollar")
]
_RUN_LINE: dict[str, Any] = {
    "id": _RUN,
    "state": "collected",
    "verdict": "sample",
    "slot": "2026-11-02T12:00:00Z",
    "posts": 188,
    "posts_new": 120,
    "cost_micro_usd": 61_000,
    "ended_at": "2026-11-02T12:02:31Z",
}


class SourceRequest(Body):
    """A question to a platform, asked again and again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"platform": "tiktok", "query": "#ootd", "region": "DE", "cron": "0 */6 * * *"}]
        }
    )

    platform: Platform
    query: Annotated[PrintableText, Field(max_length=200, description="#hashtag, @profile, or words to search for")]
    region: str | None = Field(None, pattern="^[A-Z]{2}$", description="ISO 3166-1")
    language: str | None = Field(None, pattern="^[a-z]{2}$", description="ISO 639-1")
    cron: Cron = "0 */6 * * *"
    max_items: Items = 200
    max_charge_micro_usd: Charge = 500_000

    def spec(self) -> SourceSpec:
        return SourceSpec(**self.model_dump())


class SourceChanges(Body):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "paused"}]})

    state: SourceState | None = None
    cron: Cron | None = None
    max_items: Items | None = None
    max_charge_micro_usd: Charge | None = None

    def changes(self) -> Changes:
        return Changes(**self.model_dump())


_LINE: dict[str, Any] = {
    "id": _ID,
    "platform": "tiktok",
    "query": "#ootd",
    "region": "DE",
    "language": None,
    "cron": "0 */6 * * *",
    "max_items": 200,
    "max_charge_micro_usd": 500_000,
    "state": "active",
    "own": True,
    "held_at": None,
    "next_run_at": "2026-11-02T12:00:00Z",
    "created_at": "2026-11-02T10:30:00Z",
}


class SourceView(BaseModel):
    """A source. `own`: false for one that is everybody's, which only operators change."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LINE]})

    id: uuid.UUID
    platform: Platform
    query: str
    region: str | None
    language: str | None
    cron: str
    max_items: int
    max_charge_micro_usd: int
    state: SourceState
    own: bool
    held_at: datetime | None = Field(description="since when its posts are not counted, because its rows look wrong")
    next_run_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, source: TrendSource) -> Self:
        values = {name: getattr(source, name) for name in cls.model_fields if name != "own"}
        return cls.model_validate({**values, "own": source.creator_id is not None})


class SourcePage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sources": [_LINE], "next_cursor": None}]})

    sources: list[SourceView]
    next_cursor: uuid.UUID | None


class SourceRunView(BaseModel):
    """A run of a source, as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RUN_LINE]})

    id: uuid.UUID
    state: RunState
    verdict: Verdict | None = Field(description="what its posts are worth; `unknown` is not nought")
    slot: datetime
    posts: int
    posts_new: int
    cost_micro_usd: int | None
    ended_at: datetime | None

    @classmethod
    def of(cls, run: TrendRun) -> Self:
        return cls.model_validate({name: getattr(run, name) for name in cls.model_fields})


class SourceRunList(BaseModel):
    """Newest first, twenty at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"runs": [_RUN_LINE]}]})

    runs: list[SourceRunView]
