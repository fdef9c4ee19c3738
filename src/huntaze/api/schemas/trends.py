"""Shapes of `/v1/trends` and `/v1/recommendations`."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from huntaze.api.schemas.base import Body
from huntaze.models import trend_reads
from huntaze.models.recommendations import Feedback, Recommendation
from huntaze.pipelines.trends.life import TrendState

_TREND: dict[str, Any] = {
    "id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
    "kind": "hashtag",
    "label": "#sourdough",
    "state": "emerging",
    "platforms": ["tiktok"],
    "regions": ["DE"],
    "started_at": "2026-11-22T09:00:00Z",
    "peak_at": "2026-11-22T14:00:00Z",
    "ended_at": None,
    "strength": 2.1,
    "rank": 1.7,
    "confidence": 0.9,
    "level": 4.2,
    "peak_level": 4.2,
    "velocity": 0.6,
    "lead_h": None,
    "posts": 12,
    "authors": 9,
    "related": [{"kind": "hashtag", "name": "baking", "share": 0.8}],
}
_POST: dict[str, Any] = {
    "platform": "tiktok",
    "native_id": "7301234567890123456",
    "created_at": "2026-11-22T13:10:00Z",
    "text": "A loaf in three steps #sourdough",
    "hashtags": ["sourdough"],
    "views": 18200,
    "likes": 1400,
    "comments": 61,
    "shares": None,
}
_SERIES: list[dict[str, Any]] = [{"hour": "2026-11-22T14:00:00Z", "posts": 7, "value": 7.5, "strength": 2.1}]
_FIGURES = ("state", "platforms", "regions", "posts", "authors", "velocity", "started_at", "peak_at")
_RECOMMENDATION: dict[str, Any] = {
    "id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3ab",
    "trend_id": _TREND["id"],
    "label": "#sourdough",
    "place": 1,
    "explored": False,
    "propensity": 1.0,
    "why": {"relevance": 0.4, "strength": 0.6, "freshness": 0.9, "terms": ["bread", "baking"]}
    | {name: _TREND[name] for name in _FIGURES},
    "idea": {"text": "Show how your own starter rises overnight.", "source": "model"},
    "examples": [_POST],
    "feedback": None,
    "created_at": "2026-11-22T05:40:11Z",
}


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


class RelatedView(BaseModel):
    """What else its posts speak of."""

    kind: str
    name: str
    share: float = Field(description="0..1 of its posts")


class TrendView(BaseModel):
    """A topic that rose. Levels are posts an hour in samples of the typical size, never of the whole platform."""

    id: uuid.UUID
    kind: str = Field(description="hashtag, phrase or sound")
    label: str = Field(examples=["#sourdough"])
    state: TrendState
    platforms: list[str]
    regions: list[str]
    started_at: datetime = Field(description="the hour of the alarm")
    peak_at: datetime
    ended_at: datetime | None
    strength: float = Field(description="of the strongest alarm; 1 is the threshold")
    rank: float = Field(description="strength, halved every twelve hours since the peak")
    confidence: float = Field(description="0..1")
    level: float
    peak_level: float
    velocity: float = Field(description="change of the level, posts an hour each hour")
    lead_h: int | None = Field(description="hours that the alarm was ahead of the peak; null while it may still be")
    posts: int = Field(description="of the hours that led to the strongest alarm")
    authors: int
    related: list[RelatedView]

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        return cls.model_validate({**row._mapping, "label": trend_reads.label(row)})


class TrendList(BaseModel):
    """In the order that was asked for."""

    model_config = _example({"trends": [_TREND]})

    trends: list[TrendView]


class HourView(BaseModel):
    """An hour that is known. One that is not there is unknown, which is not zero."""

    hour: datetime
    posts: int
    value: float = Field(description="posts, in a sample of the typical size")
    strength: float = Field(description="1 is the detector's threshold")


class PostView(BaseModel):
    """A public post that shows the trend. Figures are null where the platform does not tell them."""

    platform: str
    native_id: str
    created_at: datetime
    text: str = Field(description="300 characters at most; mentions and addresses masked")
    hashtags: list[str]
    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None


class TrendDetail(TrendView):
    """With what speaks for it."""

    model_config = _example(_TREND | {"series": _SERIES, "examples": [_POST]})

    series: list[HourView]
    examples: list[PostView]

    @classmethod
    def whole(cls, row: Row[Any], hours: Sequence[Row[Any]], posts: Sequence[Row[Any]]) -> Self:
        return cls.model_validate(
            {
                **row._mapping,
                "label": trend_reads.label(row),
                "series": [one._mapping for one in hours],
                "examples": [one._mapping for one in posts],
            }
        )


class WhyView(BaseModel):
    """The figures behind it, as they were when the set was made."""

    relevance: float = Field(description="0..1: words and tags in common with own work and with trends that were used")
    strength: float = Field(description="0..1: of the alarm, and how sure it is")
    freshness: float = Field(description="0..1: halved every day since the peak")
    terms: list[str] = Field(description="what own work and trend have in common, the heaviest first")
    state: TrendState
    platforms: list[str]
    regions: list[str]
    posts: int
    authors: int
    velocity: float
    started_at: datetime
    peak_at: datetime


class IdeaView(BaseModel):
    """What could be made of it. Numbers in a model's idea are checked to occur in the figures."""

    text: str
    source: str = Field(
        description="model, sandbox, or template where no model, no money or no usable answer was there"
    )


class RecommendationView(BaseModel):
    """A trend for this creator."""

    model_config = _example(_RECOMMENDATION)

    id: uuid.UUID
    trend_id: uuid.UUID
    label: str
    place: int
    explored: bool = Field(description="shown by chance, to learn")
    propensity: float = Field(description="the chance that it had to be in the set")
    why: WhyView
    idea: IdeaView
    examples: list[PostView]
    feedback: Feedback | None
    created_at: datetime

    @classmethod
    def of(cls, row: Recommendation, posts: Sequence[Row[Any]]) -> Self:
        worth = {"relevance": row.relevance, "strength": row.strength, "freshness": row.freshness}
        return cls(
            id=row.id,
            trend_id=row.trend_id,
            label=row.about["label"],
            place=row.place,
            explored=row.explored,
            propensity=row.propensity,
            why=WhyView.model_validate({**row.why, **worth}),
            idea=IdeaView.model_validate(row.idea),
            examples=[PostView.model_validate(dict(one._mapping)) for one in posts],
            feedback=Feedback(row.feedback) if row.feedback else None,
            created_at=row.created_at,
        )


class RecommendationList(BaseModel):
    """The newest set, without what was answered; 20 at most, a tenth of them by chance."""

    model_config = _example({"recommendations": [_RECOMMENDATION]})

    recommendations: list[RecommendationView]


class FeedbackRequest(Body):
    """What became of it."""

    model_config = _example({"feedback": "used"})

    feedback: Feedback = Field(description="used: more like it; dismissed: less like it")
