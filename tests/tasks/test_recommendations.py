"""Recommendations as jobs: real rows, a model that is told what to say."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_claim, job_dispatch, job_enqueue, recommendation_store, trend_reads, user_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import TrendsRecommend, TrendsRecommendRun
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.recommendations import Feedback, Recommendation
from huntaze.models.users import User
from huntaze.pipelines.ai.errors import BudgetExhausted
from huntaze.tasks import recommendations
from huntaze.tasks.context import JobContext
from tests.models.risen import NOW, frame, risen
from tests.models.sampled import source

SLOT = NOW + timedelta(hours=1)
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def model() -> ScriptedGateway:
    ideas = [{"trend": 1, "idea": "12 posts already: bake yours on camera."}, {"trend": 2, "idea": "99 % do it."}]
    return ScriptedGateway(lambda request: json.dumps({"ideas": ideas}))


@pytest.fixture
def go(sessions: Sessions, creator: User, model: ScriptedGateway) -> Run:
    """Runs a job to its end; gives its result."""

    def begin(slot: datetime = SLOT, ai: object = None, fan_out: bool = False) -> dict[str, Any]:
        args = TrendsRecommendRun(slot=slot) if fan_out else TrendsRecommend(slot=slot)
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args, creator_id=None if fan_out else creator.id).job
            for queue in ("ai", "default"):
                job_dispatch.take_due(session, queue, 10, {args.kind: 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        lease = SimpleNamespace(lost=False, cancelled=False)
        ctx = JobContext(held, sessions, Clients(MemoryObjectStore(), ai or model), lease)  # type: ignore[arg-type]
        handler = recommendations.run_recommendations if fan_out else recommendations.recommend_trends
        handler(ctx, args)  # type: ignore[arg-type]
        with sessions() as session:
            return session.get_one(Job, job.id).result or {}

    return begin


@pytest.fixture
def trends(sessions: Sessions) -> dict[str, uuid.UUID]:
    """Bread, twice, and cars, which are stronger."""
    of = source(sessions)
    seen = frame(sessions, of)
    return {
        "sourdough": risen(sessions, of, seen, "sourdough", "baking", text="bread with a crust"),
        "rye": risen(sessions, of, seen, "rye", "baking", text="bread of the north"),
        "drift": risen(sessions, of, seen, "drift", "cars", text="engines and wheels", strength=3.0),
    }


def baked(sessions: Sessions, creator: User) -> None:
    """A video about bread, analysed last week."""
    analysis = {"summary": "Bread with a golden crust.", "tags": ["baking", "bread"]}
    ids = {"id": new_id(), "task": new_id(), "creator": creator.id, "at": NOW - timedelta(days=7)}
    content = text("""
        INSERT INTO content (id, creator_id, kind, name, object_key, content_type, size, created_at)
        VALUES (:id, :creator, 'video', 'loaf.mp4', cast(:id AS text), 'video/mp4', 1, :at)
    """)
    task = text("""
        INSERT INTO content_tasks (id, creator_id, content_id, status, progress, analysis)
        VALUES (:task, :creator, :id, 'succeeded', 1, cast(:analysis AS jsonb))
    """)
    with sessions.begin() as session:
        session.execute(content, ids)
        session.execute(task, ids | {"analysis": json.dumps(analysis)})


def current(sessions: Sessions, creator: User) -> list[Recommendation]:
    with sessions() as session:
        return list(recommendation_store.current(session, creator.id))


def names(rows: list[Recommendation]) -> list[str]:
    return [row.about["name"] for row in rows]


def answer(sessions: Sessions, creator: User, one: Recommendation, what: Feedback) -> None:
    with sessions.begin() as session:
        assert recommendation_store.answer(session, creator.id, one.id, what) is not None


def test_own_work_comes_first_and_says_why(
    go: Run, trends: dict[str, uuid.UUID], sessions: Sessions, creator: User
) -> None:
    baked(sessions, creator)
    assert go() == {"trends": 3, "works": 1, "recommendations": 3, "ideas": 1}
    rows = current(sessions, creator)
    assert (rows[0].place, rows[0].trend_id in (trends["sourdough"], trends["rye"])) == (1, True)
    assert {"bread", "baking"} <= set(rows[0].why["terms"])
    assert (rows[0].why["posts"], rows[0].why["authors"], rows[0].propensity) == (12, 9, 1.0)
    assert rows[0].idea == {"text": "12 posts already: bake yours on camera.", "source": "sandbox"}
    assert [row.idea["source"] for row in rows[1:]] == ["template", "template"], "one quotes a number of nobody's"
    assert "12 posts by 9 authors" in rows[2].idea["text"]
    with sessions() as session:
        (event,) = session.query(Event).filter_by(type="recommendations.ready")
        assert event.data == {"recommendations": 3}


def test_a_closer_look_is_for_the_best_and_for_what_is_in_common(
    trends: dict[str, uuid.UUID], sessions: Sessions, creator: User
) -> None:
    def looked_at(*tags: str) -> set[uuid.UUID]:
        with sessions() as session:
            return {row.id for row in trend_reads.candidates(session, creator.id, SLOT, tags, most=1)}

    with sessions.begin() as session:
        session.execute(text("UPDATE trends SET strength = 1.5 WHERE id = :id"), {"id": trends["rye"]})
    assert looked_at() == {trends["drift"]}
    assert looked_at("baking") == {trends["drift"], trends["sourdough"]}, "the better of the two"
    assert looked_at("rye") == {trends["drift"], trends["rye"]}
    assert looked_at("cars") == {trends["drift"]}


def test_what_is_said_changes_what_comes(
    go: Run, trends: dict[str, uuid.UUID], sessions: Sessions, creator: User
) -> None:
    baked(sessions, creator)
    go()
    first = current(sessions, creator)
    answer(sessions, creator, first[0], Feedback.DISMISSED)
    assert names(current(sessions, creator)) == names(first)[1:]
    go(SLOT + timedelta(days=1))
    second = current(sessions, creator)
    assert first[0].trend_id not in {row.trend_id for row in second}
    other = next(row for row in second if row.about["name"] in ("rye", "sourdough"))
    before = next(row for row in first if row.trend_id == other.trend_id)
    assert other.relevance < before.relevance


def test_a_set_takes_the_place_of_the_one_before(
    go: Run, trends: dict[str, uuid.UUID], sessions: Sessions, creator: User
) -> None:
    go()
    first = current(sessions, creator)
    assert names(first)[0] == "drift", "without any work, the strongest"
    go()
    again = current(sessions, creator)
    assert (names(again), {row.id for row in again} & {row.id for row in first}) == (names(first), set())
    assert go(SLOT - timedelta(days=1))["recommendations"] == 0, "a slot that was overtaken"
    assert [row.id for row in current(sessions, creator)] == [row.id for row in again]


@pytest.mark.parametrize("fault", [BudgetExhausted("total", datetime(2030, 1, 1, tzinfo=UTC)), None])
def test_no_money_or_no_sense_is_no_reason_to_fail(
    go: Run, trends: dict[str, uuid.UUID], sessions: Sessions, creator: User, fault: Exception | None
) -> None:
    def say(_: object) -> str:
        if fault:
            raise fault
        return "no JSON"

    assert go(ai=ScriptedGateway(say))["ideas"] == 0
    assert {row.idea["source"] for row in current(sessions, creator)} == {"template"}


def test_what_only_anothers_source_has_seen_is_not_recommended(go: Run, sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        stranger = user_store.ensure_user(session, "mallory").id
    for owner, name in ((stranger, "secret"), (creator.id, "own")):
        of = source(sessions, f"#{name}", creator_id=owner)
        risen(sessions, of, frame(sessions, of), name)
    go()
    assert names(current(sessions, creator)) == ["own"]


def test_a_job_for_each_who_has_something_to_go_by(go: Run, sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        user_store.ensure_user(session, "idle")
    baked(sessions, creator)
    assert go(fan_out=True) == {"jobs": 1, "more": False}
    with sessions() as session:
        (made,) = session.query(Job).filter_by(kind="trends.recommend")
        assert made.creator_id == creator.id
