"""Reads of figures behind two years of history: in the database, by the API at 16 clients, cold and kept; reports."""

import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.rig import read_load
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.read_load import Reads
from benchmarks.rig.report import Options, Report, parse_options, percentile
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.models import analytics_reads, report_figures, report_requests, user_store
from huntaze.models.database import Sessions
from huntaze.models.users import Scope
from huntaze.pipelines.analytics.ranges import UTC_ZONE, Granularity, Range
from huntaze.pipelines.reports.charts import line_chart
from huntaze.pipelines.reports.pdf import report_pdf

PARTS = ("database", "api", "report")
CLIENTS = 16
_DETAILED = 20  # creators with quarters of an hour
_METRICS = ("messages.sent", "messages.response", "content.views", "logins", "offers.shown")
_CREATORS = text("""
    INSERT INTO users (id, handle, time_zone, plan)
    SELECT gen_random_uuid(), 'bench-' || n, 'UTC', 'free' FROM generate_series(1, :creators) AS n
""")
# Twenty of 400 fans a day and metric, ten of content.views for each of three labels; the same of all creators.
_DAYS = text("""
    INSERT INTO analytics_periods (creator_id, metric, grain, start, label, count, total, least, most, persons, spread)
    WITH days AS MATERIALIZED (
        SELECT cast(:first AS date) + day AS start,
               (SELECT array_agg(DISTINCT hashint8(day * 31 + n) % 400::int8) FROM generate_series(1, 20) AS n) AS who,
               (SELECT array_agg((n * 997)::int8) FROM generate_series(1, 40) AS n) AS spread
        FROM generate_series(0, :days - 1) AS day
    )
    SELECT users.id, metric, 'day', start, label, 40, 400, 1, 50, who,
           CASE metric WHEN 'messages.response' THEN spread END
    FROM users CROSS JOIN days CROSS JOIN unnest(cast(:metrics AS text[])) AS metric
    CROSS JOIN LATERAL unnest(
        CASE metric WHEN 'content.views' THEN ARRAY['film-1', 'film-2', 'film-3'] ELSE ARRAY[''] END
    ) AS label
""")
_MONTHS = text("""
    INSERT INTO analytics_periods (creator_id, metric, grain, start, label, count, total, least, most, persons, spread)
    SELECT creator_id, metric, 'month', date_trunc('month', start)::date, label, sum(count), sum(total), 1, 50,
           (SELECT array_agg(n::int8) FROM generate_series(1, 250) AS n),
           CASE metric WHEN 'messages.response' THEN (SELECT array_agg(n::int8) FROM generate_series(1, 250) AS n) END
    FROM analytics_periods WHERE grain = 'day' GROUP BY creator_id, metric, date_trunc('month', start), label
""")
# The four weeks of which the best hours are told, of those creators whom every run reads.
_BUCKETS = text("""
    INSERT INTO analytics_buckets (creator_id, metric, bucket, label, count, total, least, most, persons)
    SELECT creator_id, metric, start + interval '15 minutes' * quarter, label, 1, 10, 10, 10,
           ARRAY[hashint8(quarter) % 400]::int8[]
    FROM analytics_periods CROSS JOIN generate_series(0, 95) AS quarter
    WHERE grain = 'day' AND start > cast(:last AS date) - 28 AND metric = ANY (cast(:metrics AS text[]))
      AND creator_id = ANY (ARRAY(SELECT id FROM users ORDER BY id LIMIT :creators))
""")
_ZONES = text("INSERT INTO analytics_zones (creator_id, asked, zone) SELECT id, 'UTC', 'UTC' FROM users")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    creators: int
    days: int
    reads: int


FULL, QUICK = Sizes(500, 730, 300), Sizes(15, 730, 30)


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named."""
    report, sizes = Report("analytics_reads"), QUICK if options.quick else FULL
    report.sizes = {"creators": sizes.creators, "days": sizes.days, "reads": sizes.reads, "clients": CLIENTS}
    parts = options.only or PARTS
    with rig() as stores:
        report.versions = stores.store_versions()
        whole, creators = _fill(stores, report, sizes)
        if "database" in parts:
            _database(stores.sessions, report, whole, creators, sizes.reads)
        if "api" in parts:
            _api(stores, report, whole, creators, sizes.reads)
        if "report" in parts:
            _report(stores.sessions, report, whole, creators[0])
    return report


def _fill(stores: Rig, report: Report, sizes: Sizes) -> tuple[Range, list[uuid.UUID]]:
    report.note(f"{sizes.creators} creators, {sizes.days} days")
    last = datetime.now(UTC).date()
    wanted = Range(last - timedelta(days=sizes.days - 1), last, UTC_ZONE)
    with stores.sessions.begin() as session:
        session.execute(text("SET LOCAL statement_timeout = '1h'"))
        # Of rows that nobody has read yet no version is kept: the triggers would copy all of them.
        session.execute(text("ALTER TABLE analytics_periods DISABLE TRIGGER USER"))
        session.execute(text("ALTER TABLE analytics_buckets DISABLE TRIGGER USER"))
        session.execute(_CREATORS, {"creators": sizes.creators})
        given = {"first": wanted.first, "days": sizes.days, "metrics": list(_METRICS)}
        session.execute(_DAYS, given)
        session.execute(_MONTHS)
        session.execute(_BUCKETS, {**given, "last": wanted.last, "creators": _DETAILED})
        session.execute(_ZONES)
        session.execute(text("ALTER TABLE analytics_periods ENABLE TRIGGER USER"))
        session.execute(text("ALTER TABLE analytics_buckets ENABLE TRIGGER USER"))
        creators = list(session.scalars(text("SELECT id FROM users ORDER BY id")))
    with stores.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE analytics_periods, analytics_buckets"))
    return wanted, creators


def _database(sessions: Sessions, report: Report, whole: Range, creators: list[uuid.UUID], reads: int) -> None:
    """Each read over all of the two years, one after the other, of one creator after another."""
    report.note("reads over two years")
    kinds: dict[str, Callable[..., object]] = {
        "summary": analytics_reads.summary,
        "compare": lambda session, one, wanted: analytics_reads.compare(
            session, one, Range(wanted.last - timedelta(days=364), wanted.last, wanted.zone)
        ),
        "best_hours": analytics_reads.best_hours,
        "series": lambda *given: analytics_reads.series(*given, "messages.sent", Granularity.DAY),
        "series_values": lambda *given: analytics_reads.series(*given, "messages.response", Granularity.DAY),
        "series_labels": lambda *given: analytics_reads.series(*given, "content.views", Granularity.DAY),
        "top": lambda *given: analytics_reads.top(*given, "content.views", by_total=False, limit=10),
        "cohorts": lambda *given: analytics_reads.cohorts(*given, 12),
    }
    for name, read in kinds.items():
        took = []
        asked = creators[:_DETAILED] if name == "best_hours" else creators
        for n in range(reads):
            begun = time.perf_counter()
            with sessions() as session:
                read(session, asked[n % len(asked)], whole)
            took.append(1000 * (time.perf_counter() - begun))
        for share in (0.5, 0.95, 0.99):
            target = "< 100" if share == 0.95 else ""
            about = f"{name} over two years, no cache: p{share * 100:.0f}"
            report.add(f"{name}_p{share * 100:.0f}_ms", percentile(took, share), "ms", about, target)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _api(stores: Rig, report: Report, whole: Range, creators: list[uuid.UUID], reads: int) -> None:
    with stores.sessions.begin() as session:
        _, key = user_store.create_key(session, None, "bench", (Scope.READ, Scope.ACT_FOR))
    with HeldPort() as port:
        stores.start("api", "huntaze.api", "--port", str(port.number))
        stores.until(lambda: _listens(port.number), "the API", 30)
    report.note(f"{CLIENTS} clients ask for summaries")
    path = f"/v1/analytics/summary?from={whole.first}&to={whole.last}"
    own = [[str(creator) for creator in creators[n::CLIENTS]] for n in range(CLIENTS)]
    for name, rounds in (("cold", 1), ("kept", max(1, reads // 20))):
        took = read_load.run(Reads(LOOPBACK, port.number, path, key, [one * rounds for one in own]))
        for share in (0.5, 0.95, 0.99):
            about = f"summary by the API, {CLIENTS} clients, {name}: p{share * 100:.0f}"
            target = "< 20" if name == "kept" and share == 0.5 else ""
            report.add(
                f"api_{name}_p{share * 100:.0f}_ms",
                percentile([1000 * one for one in took], share),
                "ms",
                about,
                target,
            )
    stores.stop("api")


def _report(sessions: Sessions, report: Report, whole: Range, creator: uuid.UUID) -> None:
    with sessions.begin() as session:
        asked = report_requests.ask(session, creator, whole.last - timedelta(days=29), whole.last)
        begun = time.perf_counter()
        content = report_figures.content_of(session, asked)
        read = time.perf_counter() - begun
    line_chart(content.lines[0], content.zone)  # the import of matplotlib is the process's, not a report's
    begun = time.perf_counter()
    charts = [line_chart(line, content.zone) for line in content.lines]
    drawn = time.perf_counter() - begun
    begun = time.perf_counter()
    report_pdf(content, charts)
    report.add("report_read_ms", 1000 * read, "ms", "a monthly report: its figures")
    report.add("report_charts_ms", 1000 * drawn, "ms", "  its charts")
    report.add("report_pdf_ms", 1000 * (time.perf_counter() - begun), "ms", "  its PDF")


if __name__ == "__main__":
    main()
