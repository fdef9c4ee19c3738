"""From scraped posts to trends, by the handler itself: once, in pieces, again, and after what was not to be counted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_claim, job_dispatch, job_enqueue, trend_history, trend_lives, trend_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import TrendsDetect
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.trend_sources import TrendRun, TrendSource
from huntaze.models.trend_store import Overtaken
from huntaze.models.trend_topics import (
    DetectorState,
    FrameHour,
    TopicDay,
    TopicFrame,
    TopicHour,
    Trend,
    TrendEvidence,
    TrendTopic,
)
from huntaze.pipelines.trends.buckets import hour_of, tally
from huntaze.pipelines.trends.detector import Detector
from huntaze.pipelines.trends.life import rank
from huntaze.pipelines.trends.rounds import score_round
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.tasks.trend_detection import detect_trends
from tests.models.sampled import HOUR, crowd, run, source

START = datetime(2026, 11, 1, tzinfo=UTC)
Detect = Callable[[datetime], dict[str, Any]]


def at(hour: int) -> datetime:
    return START + hour * HOUR


@pytest.fixture
def detect(sessions: Sessions, settings: Settings) -> Detect:
    """Runs the job of a slot and returns its result."""

    def begin(slot: datetime) -> dict[str, Any]:
        args = TrendsDetect(slot=slot)
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args).job
            job_dispatch.take_due(session, "default", 10, {"trends.detect": 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"))
        lease = SimpleNamespace(lost=False, cancelled=False)
        detect_trends(JobContext(held, sessions, clients, lease, settings), args)
        with sessions() as session:
            ended = session.get_one(Job, job.id)
        assert ended.state == JobState.SUCCEEDED
        assert ended.result is not None
        return ended.result

    return begin


def usual(sessions: Sessions, hours: int, of: TrendSource) -> TrendRun:
    """Days like any other, scraped by one run at their end."""
    made = run(sessions, of, at(hours))
    for hour in range(hours):
        crowd(sessions, made, at(hour), 22, "daily", "fyp")
    return made


def trends(sessions: Sessions) -> list[tuple[Trend, str]]:
    with sessions() as session:
        query = select(Trend, TrendTopic.name).join(TrendTopic, TrendTopic.id == Trend.topic_id).order_by(Trend.id)
        return [(row[0], row[1]) for row in session.execute(query)]


def count(sessions: Sessions, table: type[Any]) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_burst_becomes_a_trend_with_its_evidence(sessions: Sessions, detect: Detect) -> None:
    by = usual(sessions, 60, source(sessions))
    posts = crowd(sessions, by, at(59), 12, "#Eclipse", "moon")
    crowd(sessions, by, at(59), 2, "eclipse", views=10**6)
    result = detect(at(60))
    assert (result["frames"], result["hours"], result["trends"]) == (1, 60, {"emerging": 2})
    [(trend, name), (_, other)] = sorted(trends(sessions), key=lambda one: one[1])
    assert (name, other) == ("eclipse", "moon")
    assert (trend.started_at, trend.platforms, trend.regions) == (at(59), ["tiktok"], ["DE"])
    assert (trend.posts, trend.authors, trend.related) == (
        14,
        12,
        [{"kind": "hashtag", "name": "moon", "share": 0.857}],
    )
    assert trend.strength > 1
    assert 0.9 < trend.confidence < 1
    with sessions() as session:
        shown = session.scalars(select(TrendEvidence).where(TrendEvidence.trend_id == trend.id)).all()
    assert len(shown) == 10
    best = {one.post_id for one in shown if one.rank <= 2}
    assert best.isdisjoint(posts), "the two that a million have seen"
    with sessions() as session:
        [(first, topic, score), _] = trend_lives.search(session, at(83), platform="tiktok")
    assert score == pytest.approx(rank(first.strength, 24))
    assert topic.kind == "hashtag"


def test_a_slot_may_run_again_and_rounds_may_be_cut(sessions: Sessions, detect: Detect) -> None:
    of = source(sessions)
    by = usual(sessions, 60, of)
    crowd(sessions, by, at(59), 12, "eclipse")
    detect(at(40))
    detect(at(60))
    before = (
        count(sessions, TopicHour),
        count(sessions, DetectorState),
        [(t.strength, n) for t, n in trends(sessions)],
    )
    assert detect(at(60))["hours"] == detect(at(40))["hours"] == 0
    after = (count(sessions, TopicHour), count(sessions, DetectorState), [(t.strength, n) for t, n in trends(sessions)])
    assert before == after


def test_a_trend_lives_and_ends_and_may_come_again(sessions: Sessions, detect: Detect) -> None:
    of = source(sessions)
    by = usual(sessions, 60, of)
    states = []
    for hour, posts in [(60, 12), (61, 20), (62, 30), (63, 30), *((one, 0) for one in range(64, 100)), (100, 90)]:
        crowd(sessions, by, at(hour), 22, "daily")
        crowd(sessions, by, at(hour), posts, "eclipse")
        run(sessions, of, at(hour + 1))
        if hour in (60, 65, 69, 99, 100):
            detect(at(hour + 1))
            states.append([trend.state for trend, _ in trends(sessions)])
    assert states == [["emerging"], ["emerging"], ["fading"], ["over"], ["over", "emerging"]]
    first, second = (trend for trend, _ in trends(sessions))
    assert first.ended_at == at(100)
    assert first.lead_h == 3
    assert 7 < first.peak_level < 8, "shares of samples that grew with it"
    assert (second.started_at, second.ended_at) == (at(100), None)


def test_nothing_is_counted_that_does_not_feed_or_is_of_another_cap(sessions: Sessions, detect: Detect) -> None:
    of = source(sessions)
    usual(sessions, 60, of)
    partial = run(sessions, of, at(58) + timedelta(minutes=1), feeds=False)
    crowd(sessions, partial, at(59), 40, "eclipse")
    by = run(sessions, of, at(57) + timedelta(minutes=1))
    crowd(sessions, by, at(59), 40, "advert", is_ad=True)
    crowd(sessions, by, at(59), 40, "long ago", created_exact=False)
    assert detect(at(60))["trends"] == {}
    with sessions() as session:
        names = set(session.scalars(select(TrendTopic.name)))
    assert names == {"daily"}
    with sessions.begin() as session:
        session.get_one(TrendSource, of.id).max_items = 1000
    again = run(sessions, source(sessions, "#other", max_items=9), at(61))
    assert again.max_items == 9
    with sessions.begin() as session:
        wider = TrendRun(**{c.key: getattr(again, c.key) for c in TrendRun.__table__.columns if c.key != "id"})
        wider.source_id, wider.max_items, wider.external_id = of.id, 1000, "wider"
        session.add(wider)
    crowd(sessions, wider, at(60), 300, "eclipse")
    assert detect(at(61))["trends"] == {}, "under the new cap nobody knows yet what is usual"
    assert count(sessions, TopicFrame) == 3


def test_an_hour_is_scored_when_a_run_came_after_it(sessions: Sessions, detect: Detect) -> None:
    of = source(sessions)
    by = run(sessions, of, at(10) + timedelta(minutes=30))
    for hour in range(11):
        crowd(sessions, by, at(hour), 22, "daily")
    assert detect(at(20))["hours"] == 10
    run(sessions, of, at(12))
    assert detect(at(20))["hours"] == 1, "11 had no sample, and is unknown"
    assert count(sessions, FrameHour) == 11


def test_whoever_is_overtaken_stores_nothing(sessions: Sessions, detect: Detect) -> None:
    usual(sessions, 10, source(sessions))
    with sessions.begin() as session:
        [frame] = trend_store.due_frames(session, at(10))
        posts = trend_store.load_posts(session, frame, hour_of(at(0)), frame.until)
        remembered, kept = trend_store.load_memory(session, frame, frame.first)
    counted = tally(posts, frame.first, frame.until)
    done = score_round(Detector(), counted, remembered, kept)
    detect(at(10))
    with sessions() as session, pytest.raises(Overtaken):
        trend_store.save_round(session, frame, (frame.first, frame.until), counted.sample, done)
    assert count(sessions, TopicHour) == 10


def test_hours_become_days_and_what_is_forgotten_goes(sessions: Sessions, detect: Detect) -> None:
    of = source(sessions)
    usual(sessions, 30, of)
    detect(at(30))
    run(sessions, of, at(24 * 20))
    assert detect(at(24 * 20))["hours"] == 0
    assert count(sessions, TopicHour) == count(sessions, DetectorState) == count(sessions, FrameHour) == 0
    with sessions() as session:
        days = session.scalars(select(TopicDay).order_by(TopicDay.day)).all()
    assert [(str(one.day), one.posts) for one in days] == [("2026-11-01", 24 * 22), ("2026-11-02", 6 * 22)]
    with sessions.begin() as session:
        assert trend_history.fold(session, at(24 * 30)) is False
