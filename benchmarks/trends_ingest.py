"""Posts a second through normalising and storing: new ones, the same again, and the same with newer figures."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import text

from benchmarks.rig.cpu import cpu_seconds
from benchmarks.rig.processes import rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.cli.sandbox_posts import make_items
from huntaze.models import trend_ingest
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.trend_ingest import PageOf
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.normalise import normalise

PAGE = 5000
COLLECTORS = 2  # as two workers would: one transaction a page each
_KEYS = AuthorKeys({1: b"benchmark-benchmark"})
_FIRST = datetime(2026, 10, 1, tzinfo=UTC)
_ACTOR = "clockworks/tiktok-scraper"


@dataclass(frozen=True)
class Share:
    """What one collector has to store: `pages` pages, of posts that are nobody else's, seen at `observed_at`."""

    url: str
    number: int
    pages: int
    observed_at: datetime


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def _pages(share: Share) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Rows as a page of JSON has them, different for every page: made once in full, then renumbered."""
    template = json.dumps(make_items(_ACTOR, {"share": share.number}, PAGE, _FIRST.timestamp(), _FIRST.timestamp()))
    for page in range(share.pages):
        rows = json.loads(template)
        first = (share.number * share.pages + page) * PAGE
        for at, row in enumerate(rows):
            row["id"] = str(7_000_000_000_000 + first + at)
        yield page, rows


def collect(share: Share) -> tuple[float, float]:
    """Seconds in normalising and storing, and core seconds of this process and its backend meanwhile: making up the
    rows is not counted."""
    engine = build_engine(share.url, pool_size=1)
    sessions, taken, ours = build_sessions(engine), 0.0, 0.0
    with sessions() as session:
        backend = int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
    before = cpu_seconds(backend)
    whose = PageOf(uuid.uuid4(), uuid.uuid4(), f"set-{uuid.uuid4()}", share.observed_at, _KEYS.version)
    for page, items in _pages(share):
        begun, busy = perf_counter(), process_time()
        rows = [normalise("tiktok", item, _KEYS, share.observed_at) for item in items]
        with sessions.begin() as session:
            trend_ingest.store_page(session, whose, page * PAGE, rows, items)
        taken, ours = taken + perf_counter() - begun, ours + process_time() - busy
    theirs = cpu_seconds(backend) - before
    engine.dispose()
    return taken, ours + theirs


def run(options: Options) -> Report:
    """All rounds on one database, which grows meanwhile."""
    pages = 10 if options.quick else 100
    report, posts = Report("trends_ingest"), pages * PAGE * COLLECTORS
    report.sizes = {"posts": posts, "page": PAGE, "collectors": COLLECTORS}
    rounds = (
        ("new", "new posts", 0),
        ("again", "the same rows again", 0),
        ("newer", "the same posts, newer figures", 1),
    )
    with rig() as stores, ProcessPoolExecutor(COLLECTORS) as pool:
        report.versions = stores.store_versions()
        url = stores.settings.database.sqlalchemy_url
        for name, about, hours in rounds:
            report.note(f"{posts} rows: {about}")
            observed = _FIRST + timedelta(hours=hours)
            taken = max(pool.map(collect, [Share(url, number, pages, observed) for number in range(COLLECTORS)]))
            report.add(
                f"{name}_per_s", posts / taken, "/s", f"posts through normalising and storing: {about}", "20,000"
            )
        with stores.engine.connect() as connection:
            stored = int(connection.execute(text("SELECT count(*) FROM posts")).scalar_one())
            measured = int(connection.execute(text("SELECT count(*) FROM post_metrics")).scalar_one())
        if (stored, measured) != (posts, 2 * posts):
            raise RuntimeError(f"{posts} posts were told twice over; there are {stored} of them and {measured} figures")
    return report


if __name__ == "__main__":
    main()
