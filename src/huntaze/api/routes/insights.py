"""What a creator's own figures mean."""

from typing import Annotated

from fastapi import APIRouter, Query

from huntaze.api.auth import Reader
from huntaze.api.problems import problems
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.insights import InsightSetView, InsightsPage
from huntaze.api.services import ServicesOf
from huntaze.models import insight_store

router = APIRouter(prefix="/v1/insights", tags=["ai"])


@router.get("", responses=problems(), summary="Read insights")
def list_insights(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> InsightsPage:
    """Sets of insights, newest first: one a day at most, of the creator's own figures. `insights.written` tells of a
    new one."""
    with services.statements() as session:
        rows = insight_store.list_sets(session, caller.creator_id, before=cursor, limit=limit + 1)
    page = [InsightSetView.of(row) for row in rows[:limit]]
    return InsightsPage(sets=page, next_cursor=page[-1].id if len(rows) > limit else None)
