"""Weekly reports of trends: by schedule for everybody, and the words and files of one."""

from collections.abc import Callable
from typing import Any, Final

from huntaze.clients.ai.checked import ask_checked
from huntaze.models import trend_report_figures, trend_report_requests, trend_report_store
from huntaze.models.job_args import TrendsReport, TrendsReportRun
from huntaze.pipelines.ai.calls import Caller
from huntaze.pipelines.ai.replies import UnusableAnswer
from huntaze.pipelines.errors import HuntazeError, Permanent
from huntaze.pipelines.reports.charts import line_chart
from huntaze.pipelines.reports.content import ReportContent
from huntaze.pipelines.reports.html import report_html
from huntaze.pipelines.reports.pdf import report_pdf
from huntaze.pipelines.trends.weekly import Week, content_of
from huntaze.pipelines.trends.weekly_words import build_request, parse_words, template
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BATCH: Final = 500  # creators a transaction
_PATIENCE_S: Final = 30.0  # nobody sits and waits for a weekly report
_FORMATS: tuple[tuple[str, str, Callable[[ReportContent, list[bytes]], bytes]], ...] = (
    ("pdf", "application/pdf", report_pdf),
    ("html", "text/html; charset=utf-8", report_html),
)


@job(TrendsReportRun)
def run_trend_reports(ctx: JobContext, args: TrendsReportRun) -> None:
    """A report of the week that has ended for each creator of a batch, and a job for the next batch, in one commit."""
    with ctx.finish() as finish:
        made, after = trend_report_requests.schedule(finish.session, args.slot, args.after, BATCH)
        if after is not None:
            finish.enqueue(TrendsReportRun(slot=args.slot, after=after))
        finish.result.update(reports=made, more=after is not None)


@job(TrendsReport)
def make_trend_report(ctx: JobContext, args: TrendsReport) -> None:
    """Reads, asks, draws, writes; done again it writes the same keys."""
    ctx.progress(0.0, "figures")
    with ctx.sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        report = trend_report_store.find(session, args.report_id)
        if report is None:
            raise Permanent("trend_report.gone", "There is no such report any more.")
        week = trend_report_figures.week_of(session, report)
        folder = f"creators/{report.creator_id}/trend-reports/{report.id}"
    ctx.progress(0.1, "words")
    words = _words(ctx, week)
    files = _files(ctx, content_of(week, words["paragraphs"]), folder)
    with ctx.finish() as finish:
        trend_report_store.make_ready(finish.session, args.report_id, words, files)
        told = {"report_id": str(args.report_id), "first": str(week.first), "last": str(week.last)}
        finish.emit("trend_report.ready", args.report_id, {**told, "formats": [one["format"] for one in files]})
        finish.result.update(report_id=str(args.report_id), trends=len(week.trends), words=words["source"])


def _words(ctx: JobContext, week: Week) -> dict[str, Any]:
    """A model's, if there is one and money, and if what it writes holds; else the same figures in plain sentences. The
    sandbox, which has read nothing, gets those added."""
    sentences = template(week)
    plain = {"paragraphs": sentences, "source": "template"}
    if not week.trends:
        return plain
    caller = Caller(ctx.job.creator_id, ctx.job.id, patience_s=_PATIENCE_S)
    try:
        answer = ask_checked(ctx.clients.ai, build_request(week), caller, lambda text: parse_words(text, week))
    except (HuntazeError, UnusableAnswer):
        return plain
    if answer.replies[-1].sandbox:
        return {"paragraphs": [*answer.value, *sentences], "source": "sandbox"}
    return {"paragraphs": answer.value, "source": "model"}


def _files(ctx: JobContext, content: ReportContent, folder: str) -> list[dict[str, Any]]:
    """Draws the charts and puts the files into the store: [{format, object_key, type, size}]."""
    charts, files = list[bytes](), list[dict[str, Any]]()
    for at, line in enumerate(content.lines):
        ctx.progress(0.5 + 0.3 * at / len(content.lines), "charts")
        charts.append(line_chart(line, content.zone))
    for at, (name, media_type, write) in enumerate(_FORMATS):
        ctx.progress(0.8 + 0.2 * at / len(_FORMATS), "files")
        key, body = f"{folder}/report.{name}", write(content, charts)
        ctx.clients.objects.put(key, body, media_type)
        files.append({"format": name, "object_key": key, "type": media_type, "size": len(body)})
    return files
