"""What a report says, read by the same functions as the API reads it. `session` is the caller's transaction."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_reads
from huntaze.models.analytics_reads import REVENUE
from huntaze.models.reports import Cadence, Report
from huntaze.pipelines.analytics.ranges import UTC_ZONE, Granularity, Range, zone_named
from huntaze.pipelines.reports.content import Line, ReportContent

COHORTS = 6  # months
_TOP = 10
_TITLES = {Cadence.WEEK: "Weekly report", Cadence.MONTH: "Monthly report", Cadence.ASKED: "Report"}
_LINES = (
    ("messages.sent", "Messages sent", "messages"),
    ("content.views", "Views of content", "views"),
    ("logins", "Logins of fans", "logins"),
    (REVENUE, "Revenue", ""),
)
_ABOUT = text("SELECT handle, clock_timestamp() AS now FROM users WHERE id = :creator_id")


def content_of(session: Session, report: Report) -> ReportContent:
    """All of it. To be read in one snapshot, so that its parts are of one moment."""
    zone = zone_named(report.zone) or UTC_ZONE
    own = analytics_reads.own_zone(session, report.creator_id).key == zone.key
    wanted = Range(report.first, report.last, zone, own)
    row = session.execute(_ABOUT, {"creator_id": report.creator_id}).one()
    made_at: datetime = row.now
    earlier, figures = analytics_reads.compare(session, report.creator_id, wanted)
    return ReportContent(
        title=_TITLES[Cadence(report.cadence)],
        creator=row.handle,
        first=report.first,
        last=report.last,
        zone=zone.key,
        before=(earlier.first, earlier.last),
        made_at=made_at,
        figures=figures,
        lines=[_line(session, report, wanted, *one) for one in _LINES],
        top=analytics_reads.top(session, report.creator_id, wanted, "content.views", by_total=False, limit=_TOP),
        cohorts=analytics_reads.cohorts(session, report.creator_id, wanted, COHORTS),
        hours=analytics_reads.best_hours(session, report.creator_id, wanted),
    )


def _line(session: Session, report: Report, wanted: Range, metric: str, title: str, unit: str) -> Line:
    series = analytics_reads.series(session, report.creator_id, wanted, metric, Granularity.DAY)
    return Line(title, series.currency or unit, series.points, metric == REVENUE, series.currency)
