"""Posts a second through normalising and storing: new ones, the same again, and the same with newer figures."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from time import perf_counter, process_time

from sqlalchemy import text

from benchmarks.rig.cpu import cpu_seconds, cpu_with_ended, postmaster
from benchmarks.rig.made_posts import FIRST_S, Pages
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.models import trend_ingest
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.trend_ingest import PageOf
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.normalise import normalise
from huntaze.tasks.trend_collect import PAGE

COLLECTORS = 2  # as two workers would: one transaction a page each
LEAST_OF_TURN = 10  # pages: progress is told after each turn
_PATIENCE_S = 300.0  # for a turn: a collector that was killed is not waited for
_KEYS = AuthorKeys({1: b"benchmark-benchmark"})
_FIRST = datetime.fromtimestamp(FIRST_S, UTC)


@dataclass(frozen=True)
class Turn:
    """What one collector has to store: pages that are nobody else's, seen `hours` after the first look."""

    url: str
    seed: int
    pages: range
    hours: int


@dataclass(frozen=True)
class Took:
    """Of all pages of a turn: seconds by the clock in normalising and in storing, then core seconds of each part."""

    normalising: float
    storing: float
    parse: float
    normalise: float
    store: float
    backend: float


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def collect(turn: Turn) -> Took:
    """Normalises and stores each page. Making up the pages is not counted, reading their JSON apart."""
    engine = build_engine(turn.url, pool_size=1)
    sessions, made = build_sessions(engine), Pages(PAGE, turn.seed)
    with sessions() as session:
        backend = int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
    seen = _FIRST + timedelta(hours=turn.hours)
    whose = PageOf(uuid.uuid4(), uuid.uuid4(), f"set-{uuid.uuid4()}", seen, _KEYS.version)
    marks, before = [], cpu_seconds(backend)
    for number in turn.pages:
        page = made.page(number)
        marks.append((perf_counter(), process_time()))
        items = json.loads(page)
        marks.append((perf_counter(), process_time()))
        rows = [normalise("tiktok", item, _KEYS, seen) for item in items]
        marks.append((perf_counter(), process_time()))
        with sessions.begin() as session:
            trend_ingest.store_page(session, whose, number * PAGE, rows, items)
        marks.append((perf_counter(), process_time()))
    backend_s = cpu_seconds(backend) - before
    engine.dispose()
    clock, busy = ([_part(marks, part, of) for part in range(3)] for of in range(2))
    return Took(clock[1], clock[2], busy[0], busy[1], busy[2], backend_s)


def _wait(barrier: Barrier) -> None:
    """Nobody begins before all are there: one would do the work of two."""
    barrier.wait(_PATIENCE_S)


def _part(marks: Sequence[tuple[float, float]], part: int, of: int) -> float:
    return sum(marks[at + part + 1][of] - marks[at + part][of] for at in range(0, len(marks), 4))


class Collecting:
    """Rounds of turns on one database, which grows meanwhile."""

    def __init__(self, stores: Rig, report: Report, pool: Pool) -> None:
        self._stores, self._report, self._pool = stores, report, pool
        self._url = stores.settings.database.sqlalchemy_url
        self._server = postmaster(stores.engine)

    def round(self, name: str, about: str, seeds: Sequence[int], pages: int, hours: int = 0, target: str = "") -> None:
        """Each seed is a collector's. Adds the rate and what a post cost."""
        taken, posts = 0.0, PAGE * pages * len(seeds)
        before, found = cpu_with_ended(self._server), list[Took]()
        turn = max(LEAST_OF_TURN, pages // 10)
        for first in range(0, pages, turn):
            part = range(first, min(first + turn, pages))
            turns = [Turn(self._url, seed, part, hours) for seed in seeds]
            took = self._pool.map_async(collect, turns, chunksize=1).get(_PATIENCE_S)
            taken += max(one.normalising + one.storing for one in took)
            found += took
            done = PAGE * part.stop * len(seeds)
            self._report.note(f"{about}: {done:,} of {posts:,}, {done / taken:,.0f} a second")
        server = cpu_with_ended(self._server) - before
        self._report.add(f"{name}_per_s", posts / taken, "/s", f"posts a second: {about}", target)
        costs = {of: sum(getattr(one, of) for one in found) for of in ("normalise", "store", "backend")}
        costs["other"] = max(0.0, server - costs["backend"])
        abouts = ("normalising", "storing, in our process", "storing, in PostgreSQL's", "its writers and checkpoints")
        for (of, seconds), words in zip(costs.items(), abouts, strict=True):
            self._report.add(f"{name}_{of}_us", 1e6 * seconds / posts, "us", f"  core time a post: {words}")
        self._report.add(f"{name}_cpu_us", 1e6 * sum(costs.values()) / posts, "us", "  in all")
        if name == "new":
            parse = sum(one.parse for one in found)
            self._report.add("parse_us", 1e6 * parse / posts, "us", "  beside it, reading a page's JSON")


def run(options: Options) -> Report:
    """One collector, then two; then what the two have stored once more, and with newer figures."""
    pages = 10 if options.quick else 500
    report, posts = Report("trends_ingest"), pages * PAGE * COLLECTORS
    report.sizes = {"posts": posts, "page": PAGE, "collectors": COLLECTORS}
    seeds, newer = range(1, COLLECTORS + 1), max(pages // 5, 10)
    spawn = get_context("spawn")
    with (
        rig() as stores,
        spawn.Pool(COLLECTORS, _wait, (spawn.Barrier(COLLECTORS),)) as pool,
    ):
        report.versions = stores.store_versions()
        collecting = Collecting(stores, report, pool)
        collecting.round("one", "new, one process", (0,), newer)
        collecting.round("new", "new, two processes", seeds, pages, target="20,000")
        collecting.round("again", "the same rows again", seeds, pages)
        collecting.round("newer", "newer figures of the same", seeds, newer, hours=1)
        _check(stores, posts + newer * PAGE, newer * PAGE * COLLECTORS)
    return report


def _check(stores: Rig, posts: int, newer: int) -> None:
    """Raises RuntimeError if something is there twice, or not."""
    with stores.engine.connect() as connection:
        stored = int(connection.execute(text("SELECT count(*) FROM posts")).scalar_one())
        measured = int(connection.execute(text("SELECT count(*) FROM post_metrics")).scalar_one())
    if (stored, measured) != (posts, posts + newer):
        raise RuntimeError(f"of {posts} posts there are {stored}, and {measured} figures instead of {posts + newer}")


if __name__ == "__main__":
    main()
