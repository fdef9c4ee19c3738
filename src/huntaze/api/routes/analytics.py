"""Figures to be read: a creator's own, and the platform's for whoever may."""

import hashlib
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from huntaze.api.auth import Caller, Operator, Reader
from huntaze.api.problems import problems, refuse_field
from huntaze.api.schemas.analytics import (
    CohortsView,
    CompareView,
    FigureView,
    PlatformView,
    RangeView,
    SeriesView,
    SummaryView,
    TopView,
)
from huntaze.api.services import Services, ServicesOf
from huntaze.models import analytics_platform, analytics_reads, analytics_versions
from huntaze.models.analytics_reads import wanted_range
from huntaze.pipelines.analytics.metrics import METRICS, Door
from huntaze.pipelines.analytics.ranges import BadRange, Granularity

router = APIRouter(prefix="/v1/analytics", tags=["analytics"])

JSON = "application/json"
PLATFORM_DAYS = 93  # of a range over all creators
_READABLE = sorted(name for name, metric in METRICS.items() if metric.door is not Door.LEDGER)
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The figures are as `If-None-Match` knows them"}}

First = Annotated[date | None, Query(alias="from", description="first day; default: 29 days before `to`")]
Last = Annotated[date | None, Query(alias="to", description="last day, included; default: today")]
ZoneName = Annotated[
    str | None, Query(max_length=64, description="IANA; default: the creator's", examples=["Europe/Paris"])
]
Known = Annotated[str | None, Header(alias="If-None-Match", max_length=1000, description="the `ETag` of an answer")]


def _answer(
    services: Services,
    caller: Caller,
    known: str | None,
    asked: tuple[Any, ...],
    make: Callable[[Session], BaseModel],
) -> Response:
    """The answer, from the cache while no figure of the creator's has changed; 304 if the client has it already.

    `asked`: the parameters as they came. What they come to, "today" say, is looked up only by whoever makes the answer:
    it depends on nothing but them and the version.
    """
    with services.statements() as session:
        version = analytics_versions.version(session, caller.creator_id)
    key = hashlib.sha256(repr((str(caller.creator_id), version, asked)).encode()).hexdigest()
    body = services.reads.answer(key, lambda: _made(services, make))
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, X-Creator-Id"}
    if known is not None and _knows(known, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def _made(services: Services, make: Callable[[Session], BaseModel]) -> bytes:
    with services.sessions() as session:
        # One snapshot for all queries: the parts of an answer are of one moment.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        try:
            return make(session).model_dump_json().encode()
        except BadRange as error:
            raise refuse_field(422, "request.invalid", error.field, error.message) from None


def _knows(header: str, etag: str) -> bool:
    """Whether If-None-Match (RFC 9110, 13.1.2) has the tag; weak ones compare alike."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


@router.get(
    "/summary", response_model=SummaryView, responses=_UNCHANGED | problems(), summary="See the figures of a range"
)
def show_summary(
    services: ServicesOf,
    caller: Reader,
    first: First = None,
    last: Last = None,
    zone: ZoneName = None,
    known: Known = None,
) -> Response:
    """Fans, messages, content, offers, subscriptions, AI, and revenue by the billing ledger. Answers are kept for five
    minutes, or until a figure of the creator's changes: late events are seen once they are counted."""

    def make(session: Session) -> SummaryView:
        wanted = wanted_range(session, caller.creator_id, first, last, zone)
        figures = analytics_reads.summary(session, caller.creator_id, wanted)
        return SummaryView.of(wanted, figures, analytics_reads.best_hours(session, caller.creator_id, wanted))

    return _answer(services, caller, known, ("summary", first, last, zone), make)


@router.get(
    "/compare", response_model=CompareView, responses=_UNCHANGED | problems(), summary="Compare with the period before"
)
def show_comparison(
    services: ServicesOf,
    caller: Reader,
    first: First = None,
    last: Last = None,
    zone: ZoneName = None,
    known: Known = None,
) -> Response:
    """The key figures of a range, each beside its own of as many days before; of whole months, of the months before."""

    def make(session: Session) -> CompareView:
        wanted = wanted_range(session, caller.creator_id, first, last, zone)
        return CompareView.of(wanted, *analytics_reads.compare(session, caller.creator_id, wanted))

    return _answer(services, caller, known, ("compare", first, last, zone), make)


@router.get(
    "/series", response_model=SeriesView, responses=_UNCHANGED | problems(), summary="Follow a metric over time"
)
def show_series(
    services: ServicesOf,
    caller: Reader,
    metric: Annotated[str, Query(max_length=64, description="a metric's name, or `revenue`")],
    granularity: Granularity = Granularity.DAY,
    label: Annotated[str | None, Query(max_length=64, description="one label; of `revenue`, a currency")] = None,
    first: First = None,
    last: Last = None,
    zone: ZoneName = None,
    known: Known = None,
) -> Response:
    """Every piece of the range, in order. Pieces at the ends are cut short by the range. Of `revenue`, `total` is the
    ledger's net in minor units of one currency: the one with most postings, if none is named."""
    if metric not in (*_READABLE, analytics_reads.REVENUE):
        names = ", ".join([*_READABLE, analytics_reads.REVENUE])
        raise refuse_field(422, "request.invalid", "metric", f"There is no such metric; there are {names}.")

    def make(session: Session) -> SeriesView:
        wanted = wanted_range(session, caller.creator_id, first, last, zone)
        series = analytics_reads.series(session, caller.creator_id, wanted, metric, granularity, label)
        return SeriesView.of(wanted, granularity, series)

    return _answer(services, caller, known, ("series", first, last, zone, metric, granularity.value, label), make)


@router.get("/top", response_model=TopView, responses=_UNCHANGED | problems(), summary="Rank the labels of a metric")
def show_top(
    services: ServicesOf,
    caller: Reader,
    metric: Annotated[str, Query(max_length=64)] = "content.views",
    by: Literal["count", "total"] = "count",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    first: First = None,
    last: Last = None,
    zone: ZoneName = None,
    known: Known = None,
) -> Response:
    """Content by its views, offers by how often they were shown, and so on; at a tie by name."""
    ranked = [name for name in _READABLE if METRICS[name].label is not None]
    if metric not in ranked:
        message = f"There is no such metric with labels; there are {', '.join(ranked)}."
        raise refuse_field(422, "request.invalid", "metric", message)

    def make(session: Session) -> TopView:
        wanted = wanted_range(session, caller.creator_id, first, last, zone)
        rows = analytics_reads.top(session, caller.creator_id, wanted, metric, by_total=by == "total", limit=limit)
        return TopView.of(wanted, metric, rows)

    return _answer(services, caller, known, ("top", first, last, zone, metric, by, limit), make)


@router.get("/cohorts", response_model=CohortsView, responses=_UNCHANGED | problems(), summary="See who comes back")
def show_cohorts(
    services: ServicesOf,
    caller: Reader,
    months: Annotated[int, Query(ge=1, le=analytics_reads.MOST_COHORTS)] = 12,
    last: Last = None,
    known: Known = None,
) -> Response:
    """Fans by the month in which they were first seen, and how many of them were active in each month since. By months
    of the creator's own zone; exact up to 4,096 fans a month, an estimate beyond."""

    def make(session: Session) -> CohortsView:
        wanted = wanted_range(session, caller.creator_id, None, last, None)
        rows = analytics_reads.cohorts(session, caller.creator_id, wanted, months)
        return CohortsView.of(wanted, rows)

    return _answer(services, caller, known, ("cohorts", last, months), make)


@router.get("/platform", response_model=PlatformView, responses=_UNCHANGED | problems(), summary="See the platform")
def show_platform(
    services: ServicesOf, caller: Operator, first: First = None, last: Last = None, known: Known = None
) -> Response:
    """All creators together, in UTC; needs a key with the scope `platform`. Kept for five minutes."""

    def make(session: Session) -> PlatformView:
        wanted = wanted_range(session, caller.creator_id, first, last, "UTC")
        if wanted.days > PLATFORM_DAYS:
            raise BadRange("from", f"A range of the platform may have {PLATFORM_DAYS} days.")
        figures = [FigureView.of(one) for one in analytics_platform.platform(session, wanted)]
        return PlatformView(range=RangeView.of(wanted), figures=figures)

    return _answer(services, caller, known, ("platform", first, last), make)
