"""Reports: by schedule for everybody, and the files of one."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from huntaze.models import report_figures, report_requests, report_store
from huntaze.models.job_args import ReportMake, ReportsMonthly, ReportsWeekly
from huntaze.models.reports import Cadence, Report
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.reports.charts import line_chart
from huntaze.pipelines.reports.content import ReportContent
from huntaze.pipelines.reports.html import report_html
from huntaze.pipelines.reports.pdf import report_pdf
from huntaze.pipelines.reports.tables import report_csv, report_parquet
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

_FORMATS: tuple[tuple[str, str, Callable[[ReportContent, list[bytes]], bytes]], ...] = (
    ("pdf", "application/pdf", report_pdf),
    ("html", "text/html; charset=utf-8", report_html),
    ("csv", "text/csv; charset=utf-8", lambda content, _: report_csv(content)),
    ("parquet", "application/vnd.apache.parquet", lambda content, _: report_parquet(content)),
)


@job(ReportsWeekly)
def report_week(ctx: JobContext, args: ReportsWeekly) -> None:
    """A report of the week that has ended, for each creator of whom there is anything."""
    _schedule(ctx, args, Cadence.WEEK, args.slot, args.after)


@job(ReportsMonthly)
def report_month(ctx: JobContext, args: ReportsMonthly) -> None:
    """The same of the month."""
    _schedule(ctx, args, Cadence.MONTH, args.slot, args.after)


def _schedule(
    ctx: JobContext,
    args: ReportsWeekly | ReportsMonthly,
    cadence: Cadence,
    slot: datetime,
    after: uuid.UUID | None,
) -> None:
    with ctx.finish() as finish:
        made, last = report_requests.schedule(finish.session, cadence, slot, after)
        if last is not None:
            finish.enqueue(type(args)(slot=slot, after=last))
        finish.result.update(reports=made, more=last is not None)


@job(ReportMake)
def make_report(ctx: JobContext, args: ReportMake) -> None:
    """Reads, draws, writes; done again it writes the same keys."""
    ctx.progress(0.0, "figures")
    with ctx.sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        report = _find(session, args.report_id)
        content = report_figures.content_of(session, report)
        folder = f"creators/{report.creator_id}/reports/{report.id}"
    charts = []
    for at, line in enumerate(content.lines):
        ctx.progress(0.2 + 0.4 * at / len(content.lines), "charts")
        charts.append(line_chart(line, content.zone))
    files: list[dict[str, Any]] = []
    for at, (name, media_type, write) in enumerate(_FORMATS):
        ctx.progress(0.6 + 0.4 * at / len(_FORMATS), "files")
        key, body = f"{folder}/report.{name}", write(content, charts)
        ctx.clients.objects.put(key, body, media_type)
        files.append({"format": name, "object_key": key, "type": media_type, "size": len(body)})
    with ctx.finish() as finish:
        report_store.make_ready(finish.session, args.report_id, files)
        told = {"report_id": str(args.report_id), "first": str(content.first), "last": str(content.last)}
        finish.emit("report.ready", args.report_id, {**told, "formats": [one["format"] for one in files]})
        finish.result.update(report_id=str(args.report_id), bytes=sum(one["size"] for one in files))


def _find(session: Session, report_id: uuid.UUID) -> Report:
    report = report_store.find(session, report_id)
    if report is None:
        raise Permanent("report.gone", "There is no such report any more.")
    return report
