"""Reads of figures behind two years of history: in the database, by the API at 16 clients, cold and kept; reports."""

import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import text

from benchmarks.rig.processes import Rig, rig
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
_METRICS = ("messages.sent", "messages.response", "content.views", "logins", "offers.shown")
_CREATORS = text("""
    INSERT INTO users (id, handle, time_zone, plan)
    SELECT gen_random_uuid(), 'bench-' || n, 'UTC', 'free' FROM generate_series(1, :creators) AS n
""")
# Twenty of 400 fans a day and metric, ten of content.views for each of three labels.
_DAYS = text("""
    INSERT INTO analytics_periods (creator_id, metric, grain, start, label, count, total, least, most, persons, spread)
    SELECT users.id, metric, 'day', cast(:first AS date) + day, label, 40, 400, 1, 50,
           (SELECT array_agg(DISTINCT (hashint8(day * 31 + n) % 400)::int8) FROM generate_series(1, 20) AS n),
           CASE metric WHEN 'messages.response' THEN
               (SELECT array_agg((n * 997)::int8) FROM generate_series(1, 40) AS n)
           END
    FROM users CROSS JOIN generate_series(0, :days - 1) AS day CROSS JOIN unnest(cast(:metrics AS text[])) AS metric
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
        session.execute(_CREATORS, {"creators": sizes.creators})
        given = {"first": wanted.first, "days": sizes.days, "metrics": list(_METRICS)}
        session.execute(_DAYS, given)
        session.execute(_MONTHS)
        session.execute(_ZONES)
        creators = list(session.scalars(text("SELECT id FROM users ORDER BY id")))
    with stores.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE analytics_periods"))
    return wanted, creators


def _database(sessions: Sessions, report: Report, whole: Range, creators: list[uuid.UUID], reads: int) -> None:
    """Each read over all of the two years, one after the other, of one creator after another."""
    report.note("reads over two years")
    kinds: dict[str, Callable[..., object]] = {
        "summary": analytics_reads.summary,
        "compare": lambda session, one, wanted: analytics_reads.compare(
            session, one, Range(wanted.last - timedelta(days=364), wanted.last, wanted.zone)
        ),
        "series": lambda *given: analytics_reads.series(*given, "messages.sent", Granularity.DAY),
        "top": lambda *given: analytics_reads.top(*given, "content.views", by_total=False, limit=10),
        "cohorts": lambda *given: analytics_reads.cohorts(*given, 12),
    }
    for name, read in kinds.items():
        took = []
        for n in range(reads):
            begun = time.perf_counter()
            with sessions() as session:
                read(session, creators[n % len(creators)], whole)
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
    params = {"from": str(whole.first), "to": str(whole.last)}
    base = f"http://{LOOPBACK}:{port.number}"

    def ask(client: httpx.Client, creator: uuid.UUID) -> float:
        begun = time.perf_counter()
        headers = {"X-Creator-Id": str(creator)}
        client.get("/v1/analytics/summary", params=params, headers=headers).raise_for_status()
        return 1000 * (time.perf_counter() - begun)

    own = [creators[n::CLIENTS] for n in range(CLIENTS)]
    headers = {"Authorization": f"Bearer {key}"}
    clients = [httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        for name, rounds in (("cold", 1), ("kept", max(1, reads // 20))):
            waits = pool.map(
                lambda *given: [ask(given[0], one) for one in given[1]], clients, [one * rounds for one in own]
            )
            took = [wait for some in waits for wait in some]
            for share in (0.5, 0.95, 0.99):
                about = f"summary by the API, {CLIENTS} clients, {name}: p{share * 100:.0f}"
                target = "< 20" if name == "kept" and share == 0.5 else ""
                report.add(f"api_{name}_p{share * 100:.0f}_ms", percentile(took, share), "ms", about, target)
    for client in clients:
        client.close()
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
