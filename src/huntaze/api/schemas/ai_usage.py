"""Shapes of `/v1/ai/usage`. Money is millionths of a US dollar. Which deployments answer is the operators' affair."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.models.ai_report import Budget, RoleUsage

_ROLE: dict[str, Any] = {
    "role": "vision",
    "calls": 12,
    "cache_hits": 3,
    "failed": 1,
    "sandbox": 0,
    "input_tokens": 61_200,
    "output_tokens": 7_100,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "cost_micro_usd": 7_168,
    "latency_ms": 2_140,
}


class RoleView(BaseModel):
    """What calls of one role took."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROLE]})

    role: str = Field(description="generate, reason or vision")
    calls: int = Field(description="that have ended, with those that made no call: hits and refusals")
    cache_hits: int = Field(description="answers that were there already, and cost nothing")
    failed: int = Field(description="without an answer, refusals for want of budget included")
    sandbox: int = Field(description="answered by the sandbox: no model was asked")
    input_tokens: int
    output_tokens: int = Field(description="with `reasoning_tokens`")
    cached_tokens: int = Field(description="of the input, those that the model's provider had kept")
    reasoning_tokens: int
    cost_micro_usd: int
    latency_ms: int | None = Field(description="the median; hits left out")


class AiUsage(BaseModel):
    """A creator's month."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "month": "2026-11",
                    "resets_at": "2026-12-01T00:00:00Z",
                    "limit_micro_usd": 5_000_000,
                    "spent_micro_usd": 7_168,
                    "reserved_micro_usd": 640,
                    "forecast_micro_usd": 9_770,
                    "roles": [_ROLE],
                }
            ]
        }
    )

    month: str = Field(description="UTC")
    resets_at: datetime = Field(description="when the next month begins")
    limit_micro_usd: int | None = Field(description="of this creator; null: none but the platform's")
    spent_micro_usd: int
    reserved_micro_usd: int = Field(description="the most that calls under way can cost")
    forecast_micro_usd: int = Field(description="spent at the month's end, if it goes on as in the last seven days")
    roles: list[RoleView]

    @classmethod
    def of(cls, budget: Budget, usage: Sequence[RoleUsage]) -> Self:
        """Of a report of one creator's scope."""
        own = next(iter(budget.scopes), None)
        return cls(
            month=f"{budget.month:%Y-%m}",
            resets_at=budget.resets_at,
            limit_micro_usd=own.limit_micro_usd if own else None,
            spent_micro_usd=own.settled_micro_usd if own else 0,
            reserved_micro_usd=own.reserved_micro_usd if own else 0,
            forecast_micro_usd=own.forecast_micro_usd if own else 0,
            roles=[RoleView(**asdict(one)) for one in usage],
        )
