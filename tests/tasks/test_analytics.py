"""The jobs behind the figures, called as plain functions."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from huntaze.clients.build import Clients
from huntaze.models import (
    analytics_cursor,
    analytics_erasure,
    analytics_figures,
    analytics_partitions,
    job_claim,
    job_dispatch,
    job_enqueue,
)
from huntaze.models.analytics_partitions import Month
from huntaze.models.database import Sessions
from huntaze.models.job_args import AnalyticsErase, AnalyticsMonths, AnalyticsRetain, AnalyticsRollup, JobArgs
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.pipelines.analytics.facts import person_key
from huntaze.pipelines.analytics.sketches import count_persons
from huntaze.settings import Settings
from huntaze.tasks import analytics
from huntaze.tasks.context import JobContext, Snooze
from tests.models.raw_facts import everything, kept, load, raw, request, roll_all, spread_out

Start = Callable[[JobArgs], JobContext]
SLOT = datetime(2024, 8, 3, 2, 7, tzinfo=UTC)
JULY = datetime(2023, 7, 30, tzinfo=UTC)  # of two months, the first of which is past its 13 months at SLOT


@pytest.fixture
def start(sessions: Sessions, settings: Settings) -> Start:
    """The context of a claimed job."""

    def begin(args: JobArgs) -> JobContext:
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args).job
            job_dispatch.take_due(session, "default", 10, {args.kind: 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        nobody = cast(Clients, SimpleNamespace())  # counting asks nobody outside
        return JobContext(held, sessions, nobody, SimpleNamespace(lost=False, cancelled=False), settings)

    return begin


@pytest.fixture(autouse=True)
def no_months(sessions: Sessions) -> None:
    """Retention goes by the tables that there are, so each test here has its own."""
    with sessions.begin() as session:
        for month in analytics_partitions.months(session):
            analytics_partitions.drop(session, month)


def result(ctx: JobContext) -> dict[str, Any]:
    with ctx.sessions() as session:
        job = session.get_one(Job, ctx.job.id)
    assert job.state == JobState.SUCCEEDED
    return job.result or {}


def months(sessions: Sessions) -> list[str]:
    with sessions() as session:
        return [f"{month.start:%Y-%m}" for month in analytics_partitions.months(session)]


def test_a_slot_counts_what_is_new_and_another_gives_the_months(
    sessions: Sessions, start: Start, creator: User
) -> None:
    load(sessions, creator.id, spread_out(200, JULY, timedelta(days=3)))
    ctx = start(AnalyticsRollup(slot=SLOT))
    analytics.roll_up(ctx, AnalyticsRollup(slot=SLOT))
    assert result(ctx)["facts"] == 200
    assert result(ctx)["days"] == 3
    ctx = start(AnalyticsMonths(slot=SLOT))
    analytics.derive_months(ctx, AnalyticsMonths(slot=SLOT))
    assert result(ctx) == {"months": 2}
    assert kept(sessions) == raw(sessions)


def test_facts_past_their_months_go_with_their_table_and_the_figures_stay(
    sessions: Sessions, start: Start, creator: User
) -> None:
    facts = spread_out(200, JULY, timedelta(days=3))
    load(sessions, creator.id, facts)
    roll_all(sessions)
    before = everything(sessions)
    ctx = start(AnalyticsRetain(slot=SLOT + timedelta(days=30)))
    analytics.retain(ctx, AnalyticsRetain(slot=SLOT + timedelta(days=30)))
    assert months(sessions) == ["2023-08", "2024-09", "2024-10", "2024-11"]
    found = result(ctx)
    assert found["made"] == ["2024-09", "2024-10", "2024-11"]
    assert found["dropped"] == ["2023-07"]
    assert found["ids"] == sum(fact.occurred_at.month == 7 for fact in facts) > 100
    with sessions() as session:
        assert analytics_cursor.facts_from(session) == datetime(2023, 8, 1, tzinfo=UTC)
        session.execute(text("INSERT INTO analytics_dirty SELECT creator_id, metric, bucket FROM analytics_buckets"))
        session.commit()
    roll_all(sessions)
    assert everything(sessions) == before, "not even a rebuild takes away what cannot be counted any more"


def test_a_month_that_is_not_counted_yet_stays(sessions: Sessions, start: Start, creator: User) -> None:
    load(sessions, creator.id, [request(1, JULY)])
    args = AnalyticsRetain(slot=SLOT + timedelta(days=30))
    ctx = start(args)
    analytics.retain(ctx, args)
    assert result(ctx)["dropped"] == []
    roll_all(sessions)
    with sessions.begin() as session:  # replaced by a revision, say
        session.execute(text("INSERT INTO analytics_dirty SELECT creator_id, metric, bucket FROM analytics_buckets"))
    ctx = start(args)
    analytics.retain(ctx, args)
    assert result(ctx)["dropped"] == []
    roll_all(sessions)
    ctx = start(args)
    analytics.retain(ctx, args)
    assert result(ctx)["dropped"] == ["2023-07"]


def asked(sessions: Sessions, creator: User | None, person: str) -> AnalyticsErase:
    with sessions.begin() as session:
        return AnalyticsErase(erasure_id=analytics_erasure.ask(session, creator and creator.id, person).id)


def person_count(sessions: Sessions, creator: User, grain: str = "month") -> list[int]:
    with sessions() as session:
        found = analytics_figures.periods(
            session, creator.id, "web.requests", grain, date(2023, 7, 1), date(2023, 8, 31)
        )
    return [count_persons(one.persons).persons for one in found.values()]


@pytest.mark.parametrize("persons", [7, 3000])
def test_a_person_is_erased_from_facts_and_figures_with_a_receipt(
    sessions: Sessions, start: Start, creator: User, persons: int
) -> None:
    """From a month whose facts are dropped, and from one whose facts are there; with few persons, and with sketches."""
    facts = [request(number, JULY + timedelta(seconds=30 * number), persons=persons) for number in range(8000)]
    load(sessions, creator.id, facts)
    roll_all(sessions)
    args = AnalyticsRetain(slot=SLOT + timedelta(days=30))
    analytics.retain(start(args), args)
    before, counts = person_count(sessions, creator), count_facts(sessions)
    erase = asked(sessions, creator, "5")
    ctx = start(erase)
    analytics.erase_person(ctx, erase)
    receipt = result(ctx)
    gone = sum(fact.person == person_key("5") and fact.occurred_at.month == 8 for fact in facts)
    assert gone > 0
    assert (receipt["facts"], receipt["buckets"] > 0) == (gone, True)
    assert receipt["done_at"] is not None
    assert "5" != receipt["person"] == f"{person_key('5') & (1 << 64) - 1:016x}"
    assert count_facts(sessions) == counts - gone
    assert person_count(sessions, creator) == [count - 1 for count in before]
    with sessions() as session:
        written = session.execute(text("SELECT args::text || coalesce(result::text, '') FROM jobs")).scalars().all()
    assert not [one for one in written if json.dumps("5") in one], "the name stands nowhere"
    load(sessions, creator.id, [fact for fact in facts if fact.occurred_at.month == 8])
    late = request({7: 5766, 3000: 6005}[persons], JULY + timedelta(days=2), persons=persons, revision=9)
    assert late.person == person_key("5")
    assert load(sessions, creator.id, [late]).repeated == 1
    roll_all(sessions)
    assert person_count(sessions, creator) == [count - 1 for count in before], "nothing brings them back"


def count_facts(sessions: Sessions) -> int:
    with sessions() as session:
        return int(session.execute(text("SELECT count(*) FROM analytics_facts")).scalar_one())


def test_an_erasure_waits_for_whoever_counts(sessions: Sessions, start: Start, creator: User) -> None:
    load(sessions, creator.id, [request(1, JULY)])
    roll_all(sessions)
    erase = asked(sessions, None, "1")
    with sessions() as session:
        (erasure,) = session.execute(text("SELECT id FROM analytics_erasures")).scalars()
        found = analytics_erasure.find(session, erasure)
        assert found is not None
        assert analytics_erasure.remains(session, found) == 4, "a fact, a bucket, a day, a month"
    ctx = start(erase)
    taken = analytics.rollups.roll
    analytics.rollups.roll = lambda session: None  # type: ignore[assignment]
    try:
        with pytest.raises(Snooze):
            analytics.erase_person(ctx, erase)
    finally:
        analytics.rollups.roll = taken
    analytics.erase_person(ctx, erase)
    assert result(ctx)["facts"] == 1
    assert person_count(sessions, creator) == []


def test_a_month_that_is_being_read_stays_for_now(sessions: Sessions, start: Start, creator: User) -> None:
    load(sessions, creator.id, [request(1, JULY)])
    roll_all(sessions)
    args = AnalyticsRetain(slot=SLOT + timedelta(days=30))
    with sessions() as reader:
        reader.execute(text("SELECT count(*) FROM analytics_facts"))
        ctx = start(args)
        analytics.retain(ctx, args)
        assert result(ctx)["dropped"] == []
    assert months(sessions)[0] == Month(date(2023, 7, 1), 0, 0).name.removeprefix("facts_").replace("_", "-")
