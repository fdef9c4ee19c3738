"""Trend reports as jobs: what the creator may see, words whose numbers hold, two files and an event, once a week."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_claim, job_dispatch, job_enqueue, trend_report_figures, trend_report_store, user_store
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import JobArgs, TrendsReport, TrendsReportRun
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.trend_reports import TrendReport
from huntaze.models.users import User
from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.errors import BudgetExhausted
from huntaze.tasks import trend_reports
from huntaze.tasks.context import JobContext
from tests.models.risen import NOW, frame, risen
from tests.models.sampled import source

FIRST = NOW.date() - timedelta(days=6)  # up to today: the trends of `risen` are hours old
Claim = Callable[..., JobContext]


@pytest.fixture
def objects() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def model() -> ScriptedGateway:
    told = [
        "The strongest was #sourdough: 12 posts by 9 authors, at 2 times what raises an alarm.",
        "It will grow by 40 % next week.",
        "Read on at https://example.com/trends.",
    ]
    return ScriptedGateway(lambda request: json.dumps({"paragraphs": [{"text": one} for one in told]}))


@pytest.fixture
def claim(sessions: Sessions, objects: MemoryObjectStore, model: ScriptedGateway) -> Claim:
    """The context of a claimed job."""

    def begin(args: JobArgs, creator: User | None = None, ai: ScriptedGateway = model) -> JobContext:
        owner = None if creator is None else creator.id
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args, creator_id=owner).job
            for queue in ("ai", "default"):
                job_dispatch.take_due(session, queue, 10, {args.kind: 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        return JobContext(held, sessions, Clients(objects, ai), SimpleNamespace(lost=False, cancelled=False))

    return begin


def asked(sessions: Sessions, creator: User) -> TrendReport:
    with sessions.begin() as session:
        report = TrendReport(creator_id=creator.id, cadence="asked", first=FIRST, last=NOW.date(), files=[])
        session.add(report)
    return report


def made(sessions: Sessions, report: TrendReport) -> TrendReport:
    with sessions() as session:
        return session.get_one(TrendReport, report.id)


def test_a_report_holds_what_its_creator_may_see(
    sessions: Sessions, creator: User, claim: Claim, objects: MemoryObjectStore, model: ScriptedGateway
) -> None:
    with sessions.begin() as session:
        other = user_store.ensure_user(session, "eve")
    everybodys, hers = source(sessions), source(sessions, "#hers", creator_id=other.id)
    risen(sessions, everybodys, frame(sessions, everybodys), "sourdough", "baking", lead_h=3)
    risen(sessions, hers, frame(sessions, hers), "secret", strength=9.0)
    report = asked(sessions, creator)
    trend_reports.make_trend_report(
        claim(TrendsReport(report_id=report.id), creator), TrendsReport(report_id=report.id)
    )
    told = made(sessions, report)
    assert told.state == "ready"
    assert told.words is not None
    assert told.words["source"] == "sandbox"
    assert told.words["paragraphs"][0] == json.loads(model.answer(model.asked[0][0]))["paragraphs"][0]["text"]
    assert told.words["paragraphs"][1].startswith("1 trend began"), "one quotes a number of nobody's, one holds a link"
    assert model.asked[0][0].role == "reason"
    with sessions() as session:
        week = trend_report_figures.week_of(session, told)
        event = session.scalars(select(Event).where(Event.type == "trend_report.ready")).one()
        assert trend_report_store.find(session, report.id, other.id) is None
    assert [(one.label, one.posts, sum(one.pieces)) for one in week.trends] == [("#sourdough", 12, 7)]
    assert (week.began, week.began_before, week.going, week.sampled, sum(week.days)) == (1, 0, 1, 300, 1)
    assert event.data["formats"] == [one["format"] for one in told.files] == ["pdf", "html"]
    pdf, html = (objects.objects[one["object_key"]][0] for one in told.files)
    assert pdf.startswith(b"%PDF")
    assert b"#sourdough" in html
    assert b"secret" not in html + model.asked[0][0].prompt.encode()


def _spent(_: ChatRequest) -> str:
    raise BudgetExhausted("total", datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("answer", [_spent, lambda _: "no JSON"])
def test_no_money_or_no_sense_is_no_reason_for_no_report(
    sessions: Sessions, creator: User, claim: Claim, answer: Callable[[ChatRequest], str]
) -> None:
    of = source(sessions)
    risen(sessions, of, frame(sessions, of), "sourdough")
    report = asked(sessions, creator)
    args = TrendsReport(report_id=report.id)
    trend_reports.make_trend_report(claim(args, creator, ScriptedGateway(answer)), args)
    words = made(sessions, report).words or {}
    assert words["source"] == "template"
    assert "12 posts by 9 authors" in words["paragraphs"][1]


def test_a_week_without_trends_asks_no_model(
    sessions: Sessions, creator: User, claim: Claim, model: ScriptedGateway
) -> None:
    report = asked(sessions, creator)
    args = TrendsReport(report_id=report.id)
    trend_reports.make_trend_report(claim(args, creator), args)
    words = made(sessions, report).words or {}
    assert (words["source"], len(words["paragraphs"]), model.asked) == ("template", 1, [])


def test_a_slot_makes_one_report_a_creator(sessions: Sessions, creator: User, claim: Claim) -> None:
    source(sessions, creator_id=creator.id)
    with sessions.begin() as session:
        user_store.ensure_user(session, "nobody to whom trends matter")
    args = TrendsReportRun(slot=datetime(2026, 11, 23, 6, tzinfo=UTC))
    for _ in range(2):
        trend_reports.run_trend_reports(claim(args), args)
    with sessions() as session:
        (report,) = trend_report_store.list_reports(session, None)
        (job,) = session.scalars(select(Job).where(Job.kind == "trends.report"))
    assert (report.creator_id, report.first, report.last) == (creator.id, date(2026, 11, 16), date(2026, 11, 22))
    assert (job.subject_id, job.creator_id) == (report.id, creator.id)


def test_a_report_fails_with_its_job_and_lives_with_it(sessions: Sessions, creator: User) -> None:
    report = asked(sessions, creator)
    for state, follows in (("failed", "failed"), ("waiting", "making"), ("cancelled", "failed")):
        with sessions.begin() as session:
            trend_report_store.follow_job(session, Job(id=uuid.uuid4(), state=state, subject_id=report.id))
        assert made(sessions, report).state == follows
