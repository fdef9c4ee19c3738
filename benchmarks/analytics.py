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
_VIEW = text("""
    CREATE MATERIALIZED VIEW analytics_by_refresh AS
    SELECT creator_id, metric, bucket, label, count(*), sum(value), min(value), max(value),
           array_agg(DISTINCT person ORDER BY person) FILTER (WHERE person IS NOT NULL) AS persons,
           array_agg(value ORDER BY value) FILTER (WHERE metric IN ('messages.response', 'web.requests')) AS spread
    FROM analytics_facts GROUP BY creator_id, metric, bucket, label WITH NO DATA
""")


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `history`: facts behind which an increment is counted, one after the other."""

    history: tuple[int, ...]
    rounds: int
    copied: int
    burst: int
    api_s: float


FULL = Sizes((1_000_000, 5_000_000, 20_000_000), 9, 500_000, 1_000_000, 20.0)
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
    with engine.begin() as connection:
        connection.execute(_VIEW)
    events.make_creators(sessions)
    have, costs = 0, []
    for rows in sizes.history:
        _grow(engine, sessions, report, have, rows)
        costs.append(_increment(engine, sessions, report, rows, sizes.rounds))
        have = rows
    report.add("increment_growth", costs[-1] / costs[0], "x", "its growth, shortest to longest history", "< 1.2")


def _at(rows: int) -> datetime:
    """When the history has as many facts."""
    return _FIRST + timedelta(days=rows / _A_DAY)


def _grow(engine: Engine, sessions: Sessions, report: Report, have: int, rows: int) -> None:
    report.note(f"{rows - have:,} more facts of history")
    events.make_facts(engine, rows - have, _at(have), _at(rows), salt=have)
    report.note("counting them")
    counted = _timed(lambda: _roll(sessions))
    derived = _timed(lambda: _settle(sessions))
    name = _short(rows)
    report.add(f"roll_{name}_per_s", (rows - have) / counted, "/s", f"facts rolled up, thinly spread, up to {rows:,}")
    whole = (rows - have) / (counted + derived)
    report.add(f"roll_and_days_{name}_per_s", whole, "/s", "  the same, days and months included")
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))


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
    refresh = _timed(lambda: _execute(engine, "REFRESH MATERIALIZED VIEW analytics_by_refresh"))
    report.add(f"refresh_{name}_s", refresh, "s", f"  REFRESH MATERIALIZED VIEW of {rows:,}")
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


def _execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def _short(rows: int) -> str:
    return f"{rows // 1_000_000}m" if rows >= 1_000_000 else f"{rows // 1000}k"


if __name__ == "__main__":
    main()
