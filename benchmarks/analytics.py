"""Facts in and figures out: by the API and by COPY; an increment behind a long history, against a full refresh."""

import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from benchmarks.rig import event_load, events
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.models import analytics_facts, analytics_periods, analytics_rollups
from huntaze.models.base import new_id
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.pipelines.analytics.facts import Fact, person_key

PARTS = ("api", "copy", "burst", "history")
INCREMENT = 10_000
_FIRST = datetime(2024, 1, 1, tzinfo=UTC)
_A_DAY = 27_400  # facts of history: 20 million are two years
_VIEW = """
    CREATE MATERIALIZED VIEW analytics_by_refresh AS
    SELECT bucket, creator_id, metric, label, count(*) AS count, sum(value) AS total, min(value) AS least,
           max(value) AS most,
           array_agg(DISTINCT person ORDER BY person) FILTER (WHERE person IS NOT NULL) AS persons,
           array_agg(value ORDER BY value) FILTER (WHERE metric IN ('messages.response', 'web.requests')) AS spread
    FROM analytics_facts GROUP BY bucket, creator_id, metric, label WITH NO DATA
"""
# A long history is not rolled up turn by turn, which takes as long as it says: it is filled from the view, which has
# the same rows, and the cursor is put behind it. Of its days no persons: those that an increment touches are made anew.
_HISTORY = (
    "ALTER TABLE analytics_buckets DISABLE TRIGGER USER",
    "ALTER TABLE analytics_periods DISABLE TRIGGER USER",
    "TRUNCATE analytics_buckets, analytics_periods, analytics_dirty, analytics_stale, analytics_stale_months",
    "ALTER TABLE analytics_buckets DROP CONSTRAINT pk_analytics_buckets",
    """
    INSERT INTO analytics_buckets (creator_id, metric, bucket, label, count, total, least, most, persons, spread)
    SELECT creator_id, metric, bucket, label, count, total, least, most, persons, spread FROM analytics_by_refresh
    """,
    """
    ALTER TABLE analytics_buckets
    ADD CONSTRAINT pk_analytics_buckets PRIMARY KEY (creator_id, metric, bucket, label)
    """,
    """
    INSERT INTO analytics_periods (creator_id, metric, grain, start, label, count, total, least, most)
    SELECT creator_id, metric, 'day', (bucket AT TIME ZONE time_zone)::date AS start, label,
           sum(count), sum(total), min(least), max(most)
    FROM analytics_by_refresh JOIN users ON users.id = creator_id GROUP BY creator_id, metric, start, label
    """,
    "ALTER TABLE analytics_buckets ENABLE TRIGGER USER",
    "ALTER TABLE analytics_periods ENABLE TRIGGER USER",
    "UPDATE analytics_cursor SET after = ((pg_snapshot_xmin(pg_current_snapshot())::text::int8) - 1)::text::xid8",
)
_SAME = text("""
    SELECT (SELECT sum(count) FROM analytics_buckets) = (SELECT count(*) FROM analytics_facts)
""")


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `history`: facts behind which an increment is counted, one after the other."""

    history: tuple[int, ...]
    rounds: int
    copied: int
    burst: int
    api_s: float


FULL = Sizes((1_000_000, 5_000_000, 20_000_000), 9, 250_000, 1_000_000, 15.0)
QUICK = Sizes((100_000, 300_000), 3, 50_000, 200_000, 4.0)


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named."""
    report, sizes = Report("analytics"), QUICK if options.quick else FULL
    report.sizes = {name: getattr(sizes, name) for name in Sizes.__dataclass_fields__}
    report.sizes |= {"increment": INCREMENT, "creators": events.CREATORS, "history_per_day": _A_DAY}
    parts = options.only or PARTS
    with rig() as stores:
        report.versions = stores.store_versions()
        engine = build_engine(stores.settings.database.sqlalchemy_url, statement_timeout_s=3600, application="bench")
        try:
            if "api" in parts:
                event_load.measure(stores, report, sizes.api_s)
            if "copy" in parts:
                _copy(stores, report, sizes.copied)
            if "burst" in parts:
                _burst(engine, report, sizes.burst)
            if "history" in parts:
                _history(engine, report, sizes)
        finally:
            engine.dispose()
    return report


def _timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def _copy(stores: Rig, report: Report, rows: int) -> None:
    report.note(f"{rows:,} facts by COPY, 5,000 a transaction")
    batches = [_facts(5000) for _ in range(rows // 5000)]

    def load() -> None:
        for batch in batches:
            with stores.sessions.begin() as session:
                analytics_facts.load(session, uuid.UUID(int=7), batch)

    report.add("copy_per_s", rows / _timed(load), "/s", "facts taken by COPY, one connection, each event once")


def _facts(count: int) -> list[Fact]:
    now = datetime.now(UTC)
    return [Fact(new_id(), "messages.sent", now, person=person_key(str(number % 900))) for number in range(count)]


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        tables = "facts, event_ids, buckets, periods, stale, stale_months, dirty"
        connection.execute(text("TRUNCATE " + ", ".join(f"analytics_{name}" for name in tables.split(", "))))


def _burst(engine: Engine, report: Report, rows: int) -> None:
    """Facts of an hour at once, as after an outage: many to a bucket."""
    report.note(f"{rows:,} facts of one hour")
    sessions = build_sessions(engine)
    _empty(engine)
    events.make_creators(sessions)
    events.make_facts(engine, rows, _FIRST, _FIRST + timedelta(hours=1))
    seconds = _timed(lambda: _roll(sessions))
    report.add("burst_per_s", rows / seconds, "/s", "facts rolled up, of one hour, one connection", "> 100,000")


def _history(engine: Engine, report: Report, sizes: Sizes) -> None:
    sessions = build_sessions(engine)
    _empty(engine)
    _execute(engine, _VIEW)
    events.make_creators(sessions)
    have, costs = 0, []
    for rows in sizes.history:
        _grow(engine, sessions, report, have, rows)
        costs.append(_increment(engine, sessions, report, rows, sizes.rounds))
        have = rows
    with engine.connect() as connection:
        if not connection.execute(_SAME).scalar_one():
            raise RuntimeError("the buckets do not hold every fact once")
    report.add("increment_growth", costs[-1] / costs[0], "x", "its growth, shortest to longest history", "< 1.2")


def _at(rows: int) -> datetime:
    """When the history has as many facts."""
    return _FIRST + timedelta(days=rows / _A_DAY)


def _grow(engine: Engine, sessions: Sessions, report: Report, have: int, rows: int) -> None:
    """The history up to so many facts, counted: the first of it as in life, the rest at once."""
    report.note(f"{rows - have:,} more facts of history")

    def tell(made: int) -> None:
        if made % 2_500_000 == 0:
            report.note(f"  {made:,}")

    events.make_facts(engine, rows - have, _at(have), _at(rows), have, tell)
    if not have:
        report.note("counting them")
        _count_first(sessions, report, rows)
    report.note("REFRESH MATERIALIZED VIEW")
    name = _short(rows)
    refresh = _timed(lambda: _execute(engine, "REFRESH MATERIALIZED VIEW analytics_by_refresh"))
    report.add(f"refresh_{name}_s", refresh, "s", f"REFRESH MATERIALIZED VIEW of {rows:,} facts")
    if have:
        report.note("filling figures from it")
        _execute(engine, *_HISTORY)
    _execute(engine, "ANALYZE")


def _count_first(sessions: Sessions, report: Report, rows: int) -> None:
    counted, derived = _timed(lambda: _roll(sessions)), _timed(lambda: _settle(sessions))
    name = _short(rows)
    report.add(f"roll_{name}_per_s", rows / counted, "/s", f"{rows:,} facts rolled up, thinly spread")
    report.add(f"roll_and_days_{name}_per_s", rows / (counted + derived), "/s", "  the same, days included")


def _increment(engine: Engine, sessions: Sessions, report: Report, rows: int, rounds: int) -> float:
    """Seconds to count 10,000 new facts: nine of ten from the last minutes, the others up to a week late."""
    counted, derived = [], []
    report.note(f"{rounds} increments behind {rows:,} facts")
    for number in range(rounds + 1):
        now = _at(rows) + timedelta(minutes=number)
        late, salt = INCREMENT // 10, rows + 7 * number
        events.make_facts(engine, late, now - timedelta(days=7), now, salt)
        events.make_facts(engine, INCREMENT - late, now - timedelta(minutes=5), now, salt + 1)
        counted.append(_timed(lambda: _roll(sessions)))
        derived.append(_timed(lambda: _settle(sessions)))
    median, name = statistics.median(counted[1:]), _short(rows)  # the first one warms caches
    report.add(f"increment_{name}_ms", 1000 * median, "ms", f"an increment of 10,000 behind {rows:,}: median")
    days = 1000 * statistics.median(derived[1:])
    report.add(f"increment_days_{name}_ms", days, "ms", "  its days and months")
    _day(sessions, report, rows)
    refresh = report.figures[f"refresh_{name}_s"]
    target = ">= 100" if rows == max(FULL.history) else ""
    report.add(f"refresh_to_increment_{name}", refresh / median, "x", "  the refresh over the increment", target)
    return median


def _day(sessions: Sessions, report: Report, rows: int) -> None:
    start = _at(rows).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)

    def recount() -> None:
        with sessions.begin() as session:
            analytics_rollups.mark(session, start, start + timedelta(days=1))
        _roll(sessions)
        _settle(sessions)

    report.add(f"dirty_day_{_short(rows)}_ms", 1000 * _timed(recount), "ms", "  a dirty day of all creators, anew")


def _roll(sessions: Sessions) -> None:
    more = True
    while more:
        with sessions.begin() as session:
            turn = analytics_rollups.roll(session, wait=True)
        more = turn is not None and turn.more


def _settle(sessions: Sessions) -> None:
    more = True
    while more:
        with sessions.begin() as session:
            turn = analytics_periods.settle(session, wait=True)
        more = turn is not None and turn.more


def _execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL work_mem = '64MB'"))  # as a turn has it
        for statement in statements:
            connection.execute(text(statement))


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}m" if rows >= 1_000_000 else f"{rows // 1000}k"


if __name__ == "__main__":
    main()
