"""What a creator's calls of models took."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from huntaze.api.auth import Reader
from huntaze.api.problems import problems
from huntaze.api.schemas.ai_usage import AiUsage
from huntaze.api.services import ServicesOf
from huntaze.models import ai_report

router = APIRouter(prefix="/v1/ai", tags=["ai"])

Month = Annotated[
    str,
    Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="UTC; default: this one", examples=["2026-11"]),
]


@router.get("/usage", responses=problems(), summary="See what AI has cost")
def show_usage(services: ServicesOf, caller: Reader, month: Month | None = None) -> AiUsage:
    """A month: spent, reserved for calls under way, where it is heading, and by role. A call is charged to the month in
    which it began; `ai.budget_warning` tells of 80 and 95 % of the creator's own limit."""
    first = None if month is None else date.fromisoformat(f"{month}-01")
    with services.statements() as session:
        budget = ai_report.budget(session, first, caller.creator_id)
        return AiUsage.of(budget, ai_report.usage(session, first, caller.creator_id))
