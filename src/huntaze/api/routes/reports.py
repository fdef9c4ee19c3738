"""Reports: asked for here, made by a job, fetched from the object store."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from huntaze.api.auth import Reader, Writer
from huntaze.api.problems import not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.reports import FileView, ReportPage, ReportRequest, ReportView
from huntaze.api.services import Services, ServicesOf
from huntaze.models import report_requests, report_store
from huntaze.models.reports import Report
from huntaze.pipelines.analytics.ranges import BadRange

router = APIRouter(prefix="/v1/reports", tags=["analytics"])

URL_LIFETIME_S = 3600
_NO_REPORT = ("report.not_found", "There is no report with this id.")
_FIELDS = {"from": "first", "to": "last"}


def _view(services: Services, report: Report) -> ReportView:
    files = [
        FileView(
            format=one["format"],
            type=one["type"],
            size=one["size"],
            url=services.objects.presign_get(one["object_key"], URL_LIFETIME_S),
        )
        for one in report.files
    ]
    names = ("id", "cadence", "first", "last", "zone", "state", "job_id", "created_at", "ready_at")
    return ReportView(files=files, **{name: getattr(report, name) for name in names})


@router.post("", status_code=202, responses=problems(400), summary="Ask for a report")
def ask_report(body: ReportRequest, services: ServicesOf, caller: Writer, response: Response) -> ReportView:
    """PDF and HTML with charts, CSV and Parquet with the same figures as `/v1/analytics`. `report.ready` tells when it
    is there. While one of the same days is being made, asking again gives that one."""
    with services.sessions.begin() as session:
        try:
            report = report_requests.ask(session, caller.creator_id, body.first, body.last)
        except BadRange as error:
            raise refuse_field(422, "request.invalid", _FIELDS.get(error.field, error.field), error.message) from None
        session.refresh(report)
        view = _view(services, report)
    response.headers["Location"] = f"/v1/reports/{view.id}"
    return view


@router.get("", responses=problems(), summary="List reports")
def list_reports(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ReportPage:
    """Newest first; those by schedule too."""
    with services.statements() as session:
        rows = report_store.list_reports(session, caller.creator_id, before=cursor, limit=limit + 1)
    page = [_view(services, row) for row in rows[:limit]]
    return ReportPage(reports=page, next_cursor=page[-1].id if len(rows) > limit else None)


@router.get("/{report_id}", responses=problems(404, s404=_NO_REPORT), summary="Fetch a report")
def show_report(report_id: uuid.UUID, services: ServicesOf, caller: Reader) -> ReportView:
    """Its files, each with a URL that works for an hour."""
    with services.statements() as session:
        report = report_store.find(session, report_id, caller.creator_id)
        if report is None:
            raise not_found("report")
        return _view(services, report)
