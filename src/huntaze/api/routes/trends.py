"""What is rising, and which of it suits a creator."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query

from huntaze.api.auth import Reader, Writer
from huntaze.api.problems import not_found, problems
from huntaze.api.schemas.trends import (
    FeedbackRequest,
    RecommendationList,
    RecommendationView,
    TrendDetail,
    TrendList,
    TrendView,
)
from huntaze.api.services import ServicesOf
from huntaze.models import recommendation_store, trend_reads
from huntaze.models.trend_reads import TrendSort
from huntaze.pipelines.trends.life import TrendState
from huntaze.pipelines.trends.posts.post import Platform

router = APIRouter(prefix="/v1", tags=["trends"])

_SHOWN = 10  # example posts of one trend


@router.get("/trends", responses=problems(), summary="List trends")
def list_trends(
    services: ServicesOf,
    caller: Reader,
    platform: Annotated[Platform | None, Query()] = None,
    region: Annotated[str | None, Query(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")] = None,
    state: Annotated[TrendState | None, Query(description="none: those that are not over")] = None,
    sort: Annotated[TrendSort, Query()] = TrendSort.RANK,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> TrendList:
    """What everybody's sources and the creator's own have shown. The order moves every hour, so there are no pages:
    narrow it down instead."""
    with services.statements() as session:
        rows = trend_reads.search(
            session, caller.creator_id, platform=platform, region=region, state=state, sort=sort, limit=limit
        )
    return TrendList(trends=[TrendView.of(row) for row in rows])


@router.get("/trends/{trend_id}", responses=problems(404), summary="See a trend and its series")
def show_trend(trend_id: uuid.UUID, services: ServicesOf, caller: Reader) -> TrendDetail:
    """Hour by hour from a day before its alarm, of the last two weeks."""
    with services.sessions() as session:
        row = trend_reads.get(session, trend_id, caller.creator_id)
        if row is None:
            raise not_found("trend")
        hours = trend_reads.series(session, row.topic_id, row.started_at - trend_reads.BEFORE, caller.creator_id)
        posts = trend_reads.examples(session, [trend_id], caller.creator_id, _SHOWN)
    return TrendDetail.whole(row, hours, posts.get(trend_id, []))


@router.get("/recommendations", responses=problems(), summary="Read recommendations")
def list_recommendations(services: ServicesOf, caller: Reader) -> RecommendationList:
    """A new set comes once a day; `recommendations.ready` tells of it."""
    with services.sessions() as session:
        rows = recommendation_store.current(session, caller.creator_id)
        posts = trend_reads.examples(session, [row.trend_id for row in rows], caller.creator_id)
        shown = [RecommendationView.of(row, posts.get(row.trend_id, [])) for row in rows]
    return RecommendationList(recommendations=shown)


@router.post("/recommendations/{recommendation_id}/feedback", responses=problems(404), summary="Say what became of it")
def answer_recommendation(
    recommendation_id: uuid.UUID, body: FeedbackRequest, services: ServicesOf, caller: Writer
) -> RecommendationView:
    """The trend is not recommended again, and the next sets follow what was said. The last word counts; repeating does
    no harm."""
    with services.sessions.begin() as session:
        row = recommendation_store.answer(session, caller.creator_id, recommendation_id, body.feedback)
        if row is None:
            raise not_found("recommendation")
        posts = trend_reads.examples(session, [row.trend_id], caller.creator_id)
        return RecommendationView.of(row, posts.get(row.trend_id, []))
