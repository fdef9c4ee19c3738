"""Recommendations: against popularity and chance on made-up creators, split by time; and how long a set takes."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from benchmarks.rig import trend_rows
from benchmarks.rig.creators import SPLIT, World, build_world
from benchmarks.rig.processes import rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.models import recommendation_store
from huntaze.models.database import Sessions
from huntaze.pipelines.recommend.evaluation import coverage, diversity, ndcg, recall
from huntaze.pipelines.recommend.interests import learn, liked_tags
from huntaze.pipelines.recommend.rank import SLOTS, Candidate, Trends, recommend

TOP = 10
Shown = Callable[[World, Trends, int, random.Random], Sequence[Candidate]]


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def run(options: Options) -> Report:
    """Quality at 1,000 trends, time at 10,000."""
    report, creators = Report("recommend"), 50 if options.quick else 200
    report.sizes = {"creators": creators, "trends_judged": 1000, "trends_timed": 10_000}
    world = build_world(1000, creators)
    trends = Trends(world.candidates)
    for name, shown in (("ours", _ours), ("popularity", _popular), ("random", _random)):
        _judge(report, name, shown, world, trends)
    _time(report)
    _ledger(report)
    return report


def _ours(world: World, trends: Trends, at: int, chance: random.Random) -> Sequence[Candidate]:
    interests = learn(world.works[at], (), SPLIT, trends.rarity)
    return [one.scored.candidate for one in recommend(trends, interests, SPLIT, chance, TOP)]


def _popular(world: World, trends: Trends, at: int, chance: random.Random) -> Sequence[Candidate]:  # noqa: ARG001
    hours = {one.id: (SPLIT - one.peak_at).total_seconds() / 3600 for one in world.candidates}
    return sorted(world.candidates, key=lambda one: -one.strength * 0.5 ** (hours[one.id] / 12))[:TOP]


def _random(world: World, trends: Trends, at: int, chance: random.Random) -> Sequence[Candidate]:  # noqa: ARG001
    return chance.sample(world.candidates, TOP)


def _judge(report: Report, name: str, shown: Shown, world: World, trends: Trends) -> None:
    chance = random.Random(7)
    lists = [shown(world, trends, at, chance) for at in range(len(world.works))]
    ids: list[list[UUID]] = [[one.id for one in each] for each in lists]
    judged = list(zip(ids, world.taken, strict=True))
    report.add(f"{name}_ndcg_10", statistics.fmean(ndcg(*pair, TOP) for pair in judged), "", f"{name}: nDCG@10")
    report.add(f"{name}_recall_10", statistics.fmean(recall(*pair, TOP) for pair in judged), "", f"{name}: recall@10")
    report.add(f"{name}_coverage", coverage(ids, len(world.candidates), TOP), "", f"{name}: coverage, share of trends")
    spread = [diversity([trends.vector(one) for one in each]) for each in lists]
    report.add(f"{name}_diversity", statistics.fmean(spread), "", f"{name}: diversity within a list")


def _time(report: Report) -> None:
    world = build_world(10_000, 20, seed=2)
    begun = time.perf_counter()
    trends = Trends(world.candidates)
    report.add("index_ms", 1000 * (time.perf_counter() - begun), "ms", "10,000 trends read into an index")
    took = []
    for works in world.works:
        begun = time.perf_counter()
        recommend(trends, learn(works, (), SPLIT, trends.rarity), SPLIT, random.Random(1), SLOTS)
        took.append(1000 * (time.perf_counter() - begun))
    report.add("set_first_ms", took[0], "ms", "a set for one creator, the first")
    report.add("set_p50_ms", statistics.median(took), "ms", "a set for one creator, median of 20")


def _ledger(report: Report) -> None:
    """What a job does beside asking a model: from the tables to a set."""
    report.note("sets from 10,000 trends in PostgreSQL")
    with rig() as stores:
        report.versions = stores.store_versions()
        took = [_job(stores.sessions, creator_id) for creator_id in trend_rows.fill(stores, build_world(10_000, 20, 2))]
    report.add("job_first_ms", sum(took[0]), "ms", "a set from the ledger's 10,000 trends, the first")
    report.add("job_p50_ms", statistics.median(map(sum, took)), "ms", "  median of 20")
    report.add("job_read_p50_ms", statistics.median(read for read, _ in took), "ms", "  of which reading")


def _job(sessions: Sessions, creator_id: UUID) -> tuple[float, float]:
    """Milliseconds of reading and of choosing."""
    begun = time.perf_counter()
    now = datetime.now(UTC)
    with sessions() as session:
        works = recommendation_store.works_of(session, creator_id)
        said = recommendation_store.said_by(session, creator_id)
        candidates, _, _ = recommendation_store.candidates(session, creator_id, now, liked_tags(works, said))
    read = time.perf_counter()
    trends = Trends(candidates)
    recommend(trends, learn(works, said, now, trends.rarity), now, random.Random(1), SLOTS)
    return 1000 * (read - begun), 1000 * (time.perf_counter() - read)


if __name__ == "__main__":
    main()
