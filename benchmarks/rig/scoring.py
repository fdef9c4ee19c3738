"""A round of scoring as large as the product's largest: in memory, and from and to the tables."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from benchmarks.rig.cpu import cpu_with_ended, postmaster
from benchmarks.rig.processes import Rig
from huntaze.models import trend_store
from huntaze.models.base import new_id
from huntaze.models.trend_store import DueFrame
from huntaze.models.trend_topics import TopicFrame
from huntaze.pipelines.trends.buckets import Tally, hour_of
from huntaze.pipelines.trends.detector import Detector
from huntaze.pipelines.trends.rounds import score_round
from huntaze.pipelines.trends.topics import Topic, TopicKind

_START = hour_of(datetime(2026, 11, 1, tzinfo=UTC))


def made_counts(topics: int, hours: int) -> NDArray[np.float32]:
    """(hours, topics): a heavy tail of levels, a day's rhythm, and noise beyond Poisson's."""
    noise = np.random.default_rng(14)
    levels = noise.lognormal(0, 1.5, topics)
    counts = np.empty((hours, topics), np.float32)
    for hour in range(hours):
        rhythm = 1 + 0.6 * np.sin(2 * np.pi * hour / 24)
        counts[hour] = noise.poisson(levels * rhythm * noise.gamma(2, 0.5, topics))
    return counts


@dataclass(frozen=True)
class InMemory:
    """`seconds` for all hours; `alarms` there were."""

    seconds: float
    alarms: int


def replay(counts: NDArray[np.float32]) -> InMemory:
    """Every topic through every hour."""
    detector = Detector()
    begun = time.perf_counter()
    states, alarms = detector.fresh(counts.shape[1]), 0
    for hour, row in enumerate(counts):
        states, scores = detector.step(states, row, _START + hour)
        alarms += int(scores.fired.sum())
    return InMemory(time.perf_counter() - begun, alarms)


def rounds(stores: Rig, topics: int, hours: int, frames: int = 1) -> list[dict[str, float]]:
    """Seconds of the parts of each hour's round, in which every topic has posts, and core seconds of ours and of
    PostgreSQL's: the first makes them all. Each frame has its share of the topics."""
    names = [Topic(TopicKind.HASHTAG, f"{frames} frames {number:06}") for number in range(topics)]
    made = [(_frame(stores, f"#{frames}_{number}"), names[number::frames]) for number in range(frames)]
    return [_hour(stores, made, _START + hour) for hour in range(hours)]


def _hour(stores: Rig, made: Sequence[tuple[DueFrame, Sequence[Topic]]], hour: int) -> dict[str, float]:
    """All frames, one after the other. To count is not measured."""
    total, server = defaultdict[str, float](float), postmaster(stores.engine)
    before = cpu_with_ended(server)
    for frame, names in made:
        counted = _tally(names, hour)
        ours = time.process_time()
        for part, seconds in _round(stores, frame, counted).items():
            total[part] += seconds
        total["ours"] += time.process_time() - ours
    return {**total, "theirs": cpu_with_ended(server) - before}


def state_bytes_at_rest(stores: Rig) -> int:
    """Of the tables and indexes that hold the detector's states."""
    with stores.engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_total_relation_size('detector_states')")).scalar_one())


def _frame(stores: Rig, query: str) -> DueFrame:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    source = {"id": new_id(), "query": query, "next": start + timedelta(days=999)}
    with stores.sessions.begin() as session:
        session.execute(
            text("""
                INSERT INTO trend_sources (id, platform, query, cron, next_run_at, actor, max_items,
                                           max_charge_micro_usd, state)
                VALUES (:id, 'tiktok', :query, '0 * * * *', :next, 'x/y', 1000000, 1, 'active')
            """),
            source,
        )
        facts = {"source_id": source["id"], "max_items": 1_000_000, "platform": "tiktok"}
        made = TopicFrame(**facts, scored_until=start, seen=100, typical=200_000.0)
        session.add(made)
    return DueFrame(made.id, made.source_id, made.max_items, "tiktok", None, _START, _START + 1)


def _tally(names: Sequence[Topic], hour: int) -> Tally:
    counted = Tally(hour, hour + 1)
    counted.sample[hour] = 2 * len(names)
    for number, topic in enumerate(names):
        counted.count(topic, hour, [b"%d" % number, b"%d" % (number + 1)])
    return counted


def _round(stores: Rig, frame: DueFrame, counted: Tally) -> dict[str, float]:
    hour = counted.first
    marks = [time.perf_counter()]
    with stores.sessions() as session:
        remembered, kept = trend_store.load_memory(session, frame, hour)
    marks.append(time.perf_counter())
    done = score_round(Detector(), counted, remembered, kept)
    marks.append(time.perf_counter())
    with stores.sessions.begin() as session:
        trend_store.save_round(session, frame, (hour, hour + 1), counted.sample, done, kept)
    marks.append(time.perf_counter())
    parts = dict(zip(("load", "score", "store"), np.diff(marks).tolist(), strict=True))
    return {**parts, "all": marks[-1] - marks[0]}
