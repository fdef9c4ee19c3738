"""Reports as jobs: the figures of the API, four files, one event; a slot run twice makes one report."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore, ObjectStore
from huntaze.models import (
    analytics_reads,
    job_claim,
    job_dispatch,
    job_enqueue,
    job_store,
    report_requests,
    report_store,
)
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import JobArgs, ReportMake, ReportsMonthly, ReportsWeekly
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.reports import Cadence, Report, ReportState
from huntaze.models.users import User
from huntaze.pipelines.analytics.ranges import UTC_ZONE, Granularity, Range
from huntaze.settings import Settings
from huntaze.tasks import reports
from huntaze.tasks.context import JobContext
from tests.models.billing_kit import day, run, subscribe
from tests.models.raw_facts import load, roll_all
from tests.models.test_analytics_reads import fact

SLOT = datetime(2025, 3, 3, 14, tzinfo=UTC)  # a Monday
Claim = Callable[[JobArgs | uuid.UUID], JobContext]


@pytest.fixture
def objects() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def claim(sessions: Sessions, settings: Settings, objects: ObjectStore) -> Claim:
    """The context of a claimed job: of a new one, or of the one that is there."""

    def begin(wanted: JobArgs | uuid.UUID) -> JobContext:
        with sessions.begin() as session:
            job_id = job_enqueue.enqueue(session, wanted).job.id if isinstance(wanted, JobArgs) else wanted
            kinds = dict.fromkeys(("reports.make", "reports.weekly", "reports.monthly"), 1)
            job_dispatch.take_due(session, "default", 10, kinds, Turns())
            held = job_claim.claim(session, job_id, "here/1", 60)
        assert held is not None
        clients = Clients(objects, ScriptedGateway(lambda request: "{}"))
        return JobContext(held, sessions, clients, SimpleNamespace(lost=False, cancelled=False), settings)

    return begin


def test_a_report_says_what_the_api_says(
    sessions: Sessions, creator: User, claim: Claim, objects: MemoryObjectStore
) -> None:
    at = datetime(2025, 2, 20, 12, tzinfo=UTC)
    load(sessions, creator.id, [fact(number, at) for number in range(9)])
    load(sessions, creator.id, [fact(number, at, "content.views", label="beach.mp4") for number in range(4)])
    roll_all(sessions)
    subscribe(sessions, creator)
    run(sessions, day(2025, 2, 28))
    first, last = date(2025, 2, 1), date(2025, 2, 28)
    with sessions.begin() as session:
        asked = report_requests.ask(session, creator.id, first, last)
        assert report_requests.ask(session, creator.id, first, last).id == asked.id, "one is being made"
        assert asked.job_id is not None
    ctx = claim(asked.job_id)
    reports.make_report(ctx, ReportMake(report_id=asked.id))
    with sessions() as session:
        report = report_store.find(session, asked.id, creator.id)
        assert report is not None
        assert report.state == ReportState.READY
        assert report_store.find(session, asked.id, uuid.UUID(int=5)) is None, "nobody else's"
        wanted = Range(first, last, UTC_ZONE)
        figures = analytics_reads.summary(session, creator.id, wanted)
        revenue = analytics_reads.series(session, creator.id, wanted, "revenue", Granularity.DAY)
        told = session.scalars(select(Event).where(Event.type == "report.ready")).one()
    assert told.data["formats"] == [one["format"] for one in report.files] == ["pdf", "html", "csv", "parquet"]
    assert all(len(objects.objects[one["object_key"]][0]) == one["size"] for one in report.files)
    assert all(one["object_key"].startswith(f"creators/{creator.id}/reports/{asked.id}/") for one in report.files)
    body = objects.objects[report.files[2]["object_key"]][0].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(body)))
    written = {(row["name"], row["currency"]): row["value"] for row in rows if row["part"] == "figure"}
    for figure in figures:
        assert written[figure.name, figure.currency or ""] == ("" if figure.value is None else str(figure.value))
    assert written["messages.sent", ""] == "9"
    line = [int(row["value"]) for row in rows if row["part"] == "series" and row["name"] == "Revenue"]
    assert line == [point.total for point in revenue.points]
    assert str(sum(line)) == written["revenue.net", "EUR"] != "0"


@pytest.mark.parametrize(
    ("args", "make", "cadence", "first", "last"),
    [
        (ReportsWeekly(slot=SLOT), reports.report_week, Cadence.WEEK, date(2025, 2, 24), date(2025, 3, 2)),
        (ReportsMonthly(slot=SLOT), reports.report_month, Cadence.MONTH, date(2025, 2, 1), date(2025, 2, 28)),
    ],
)
def test_a_slot_makes_one_report_for_each_who_has_figures(
    sessions: Sessions,
    creator: User,
    claim: Claim,
    args: ReportsWeekly,
    make: Callable[[JobContext, JobArgs], None],
    cadence: Cadence,
    first: date,
    last: date,
) -> None:
    load(sessions, creator.id, [fact(1, SLOT)])
    roll_all(sessions)
    with sessions.begin() as session:
        session.execute(text("INSERT INTO users (id, handle, time_zone, plan) VALUES (gen_random_uuid(), 'nobody', 'UTC', 'free')"))  # fmt: skip  # noqa: E501
    for made in (1, 0):
        ctx = claim(args)
        make(ctx, args)
        with sessions() as session:
            assert (session.get_one(Job, ctx.job.id).result or {})["reports"] == made
    with sessions() as session:
        report = session.scalars(select(Report)).one()
        assert (report.creator_id, report.cadence, report.first, report.last) == (creator.id, cadence, first, last)
        jobs = session.scalars(select(Job).where(Job.kind == "reports.make")).all()
    assert [job.subject_id for job in jobs] == [report.id]


def test_a_report_whose_job_is_cancelled_has_failed(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        asked = report_requests.ask(session, creator.id)
        assert asked.job_id is not None
        job_store.cancel(session, asked.job_id)
    with sessions() as session:
        found = report_store.find(session, asked.id)
        assert found is not None
        assert found.state == ReportState.FAILED
