"""What is scraped for trends: a creator's own sources, and everybody's to look at."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import ProblemError, not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.trend_sources import (
    SourceChanges,
    SourcePage,
    SourceRequest,
    SourceRunList,
    SourceRunView,
    SourceView,
)
from huntaze.api.services import ServicesOf
from huntaze.models import trend_run_store, trend_source_store, trend_verdicts
from huntaze.models.trend_sources import RunState, SourceState, TrendSource
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.trends.posts.post import Platform
from huntaze.pipelines.trends.posts.sources import BadSource

router = APIRouter(prefix="/v1/sources", tags=["sources"])

_NO_SOURCE = ("source.not_found", "There is no source with this id.")
_TAKEN = ("source.exists", "There is a source with this platform, query, region and language.")
_RUNNING = ("source.running", "A run of this source is under way; wait for its end.")
Limit = Annotated[int, Query(ge=1, le=100)]


@contextmanager
def _told() -> Iterator[None]:
    """What a source cannot be, by its field; what stands in the way, as a conflict."""
    try:
        yield
    except BadSource as error:
        raise refuse_field(422, error.code, error.field, error.message) from None
    except Permanent as error:
        raise ProblemError(409, error.code, error.message) from None


def _own(session: Session, source_id: uuid.UUID, caller: Caller) -> TrendSource:
    source = trend_source_store.hold_own(session, source_id, caller.creator_id)
    if source is None:
        raise not_found("source")
    return source


@router.post("", status_code=201, responses=problems(400, 409, s409=_TAKEN), summary="Add a source")
def add_source(body: SourceRequest, services: ServicesOf, caller: Writer, response: Response) -> SourceView:
    """Up to 50 a creator. Each run is paid from the month's money for scraping, which all sources share."""
    with _told(), services.sessions.begin() as session:
        source = trend_source_store.create(session, body.spec(), caller.creator_id)
    response.headers["Location"] = f"/v1/sources/{source.id}"
    return SourceView.of(source)


@router.get("", responses=problems(), summary="List sources")
def list_sources(
    services: ServicesOf,
    caller: Reader,
    platform: Platform | None = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
) -> SourcePage:
    """One's own and everybody's, newest first."""
    with services.statements() as session:
        found = trend_source_store.search(
            session, creator_id=caller.creator_id, platform=platform, before=cursor, limit=limit + 1
        )
    page = [SourceView.of(source) for source in found[:limit]]
    return SourcePage(sources=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{source_id}", responses=problems(404, s404=_NO_SOURCE), summary="Show a source")
def show_source(source_id: uuid.UUID, services: ServicesOf, caller: Reader) -> SourceView:
    """One's own or everybody's."""
    with services.statements() as session:
        source = trend_source_store.get(session, source_id, caller.creator_id)
    if source is None:
        raise not_found("source")
    return SourceView.of(source)


@router.patch("/{source_id}", responses=problems(400, 404, s404=_NO_SOURCE), summary="Change or pause a source")
def change_source(source_id: uuid.UUID, body: SourceChanges, services: ServicesOf, caller: Writer) -> SourceView:
    """One's own. Runs under another `max_items` are not compared with those before. `state: active` says of a held
    source that somebody has looked: its alarms are closed, and its next runs count again."""
    with _told(), services.sessions.begin() as session:
        source = _own(session, source_id, caller)
        trend_source_store.change(session, source, body.changes())
        if body.state == SourceState.ACTIVE:
            trend_verdicts.release(session, source_id, caller.creator_id)
            session.refresh(source)
    return SourceView.of(source)


@router.post(
    "/{source_id}/runs",
    status_code=202,
    responses=problems(404, 409, s404=_NO_SOURCE, s409=_RUNNING),
    summary="Run now",
)
def run_source(source_id: uuid.UUID, services: ServicesOf, caller: Writer) -> SourceRunView:
    """One run of one's own source, one at a time and 15 minutes apart; 409 where the month's money is spent."""
    with _told(), services.sessions.begin() as session:
        source = _own(session, source_id, caller)
        cap = services.settings.apify.monthly_cap_micro_usd
        run = trend_source_store.plan_now(session, source, cap, apart=True)
    if run.state == RunState.SKIPPED:
        raise ProblemError(409, "scrape.budget_exhausted", run.error_message or "")
    return SourceRunView.of(run)


@router.get("/{source_id}/runs", responses=problems(404, s404=_NO_SOURCE), summary="List a source's runs")
def list_runs(source_id: uuid.UUID, services: ServicesOf, caller: Reader) -> SourceRunList:
    """Newest first."""
    with services.statements() as session:
        if trend_source_store.get(session, source_id, caller.creator_id) is None:
            raise not_found("source")
        runs = trend_run_store.runs_of(session, source_id)
    return SourceRunList(runs=[SourceRunView.of(run) for run in runs])
