"""Weekly reports of trends: made by schedule or asked for here, fetched from the object store."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from huntaze.api.auth import Reader, Writer
from huntaze.api.problems import not_found, problems
from huntaze.api.routes.reports import URL_LIFETIME_S
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.reports import FileView
from huntaze.api.schemas.trend_reports import TrendReportPage, TrendReportView, WordsView
from huntaze.api.services import Services, ServicesOf
from huntaze.models import trend_report_requests, trend_report_store
from huntaze.models.trend_reports import TrendReport

router = APIRouter(prefix="/v1/trend-reports", tags=["trends"])

_NO_REPORT = ("report.not_found", "There is no report with this id.")


def _view(services: Services, report: TrendReport) -> TrendReportView:
    files = [
        FileView(
            url=services.objects.presign_get(one["object_key"], URL_LIFETIME_S),
            **{name: one[name] for name in ("format", "type", "size")},
        )
        for one in report.files
    ]
    words = None if report.words is None else WordsView.model_validate(report.words)
    names = ("id", "cadence", "first", "last", "state", "job_id", "created_at", "ready_at")
    return TrendReportView(files=files, words=words, **{name: getattr(report, name) for name in names})


@router.post("", status_code=202, responses=problems(), summary="Ask for a trend report")
def ask_trend_report(services: ServicesOf, caller: Writer, response: Response) -> TrendReportView:
    """Of the last seven whole days, as PDF and HTML with charts. `trend_report.ready` tells when it is there. While one
    of the same days is being made, asking again gives that one."""
    with services.sessions.begin() as session:
        report = trend_report_requests.ask(session, caller.creator_id)
        session.refresh(report)
        view = _view(services, report)
    response.headers["Location"] = f"/v1/trend-reports/{view.id}"
    return view


@router.get("", responses=problems(), summary="List trend reports")
def list_trend_reports(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> TrendReportPage:
    """Newest first; a new one comes each Monday."""
    with services.statements() as session:
        rows = trend_report_store.list_reports(session, caller.creator_id, before=cursor, limit=limit + 1)
    page = [_view(services, row) for row in rows[:limit]]
    return TrendReportPage(reports=page, next_cursor=page[-1].id if len(rows) > limit else None)


@router.get("/{report_id}", responses=problems(404, s404=_NO_REPORT), summary="Fetch a trend report")
def show_trend_report(report_id: uuid.UUID, services: ServicesOf, caller: Reader) -> TrendReportView:
    """Its words, and its files, each with a URL that works for an hour."""
    with services.statements() as session:
        report = trend_report_store.find(session, report_id, caller.creator_id)
        if report is None:
            raise not_found("report")
        return _view(services, report)
