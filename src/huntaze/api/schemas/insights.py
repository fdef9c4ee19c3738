"""Shapes of `/v1/insights`."""

import uuid
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.models.insights import InsightSet

_SET: dict[str, Any] = {
    "id": "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",
    "figures_until": "2026-11-02T00:00:00Z",
    "created_at": "2026-11-02T04:20:07Z",
    "insights": [
        {
            "headline": "Offers were taken 40 % more often.",
            "evidence": [
                {"figure": "offers.redeemed.change", "value": "40", "unit": "%", "about": "change of offers taken"}
            ],
            "advice": "Repeat the offer that was taken most before the week ends.",
            "confidence": 0.6,
        }
    ],
    "sandbox": False,
}


class EvidenceView(BaseModel):
    """A figure of the creator's own, as it was."""

    figure: str
    value: str = Field(description="decimal digits")
    unit: str = Field(description="empty for a count, % for a change, a currency for money in major units")
    about: str


class InsightView(BaseModel):
    """What a model made of the figures. Numbers in it are checked to occur in them; its reasoning is not."""

    headline: str
    evidence: list[EvidenceView]
    advice: str
    confidence: float = Field(description="0..1, the model's own")


class InsightSetView(BaseModel):
    """What was told of one state of the figures."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SET]})

    id: uuid.UUID
    figures_until: datetime = Field(description="the figures are of the two weeks before it")
    created_at: datetime
    insights: list[InsightView] = Field(description="the most useful first; empty where nothing held")
    sandbox: bool = Field(description="no model has answered")

    @classmethod
    def of(cls, row: InsightSet) -> Self:
        return cls(
            id=row.id,
            figures_until=row.figures_until,
            created_at=row.created_at,
            insights=[InsightView.model_validate(one) for one in row.insights],
            sandbox=bool(row.usage.get("sandbox")),
        )


class InsightsPage(BaseModel):
    """Newest first. No set is written while the figures stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sets": [_SET], "next_cursor": None}]})

    sets: list[InsightSetView]
    next_cursor: uuid.UUID | None
