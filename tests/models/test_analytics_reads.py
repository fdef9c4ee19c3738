"""Reads say what the facts and the books say: in any zone, by any granularity."""

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from huntaze.models import analytics_periods, analytics_reads, analytics_rollups, analytics_versions, billing_audit
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.analytics.buckets import day_of
from huntaze.pipelines.analytics.facts import Fact, person_key
from huntaze.pipelines.analytics.ranges import BadRange, Granularity, Range
from huntaze.pipelines.analytics.statistics import Figure
from tests.models.billing_kit import balances, day, run, subscribe
from tests.models.raw_facts import load, roll_all

START = datetime(2024, 3, 28, tzinfo=UTC)  # clocks change in Europe on the 31st
KATHMANDU = "Asia/Kathmandu"


def fact(number: int, at: datetime, metric: str = "messages.sent", value: int = 0, label: str = "") -> Fact:
    return Fact(
        uuid.uuid5(uuid.NAMESPACE_OID, f"{metric}{number}"), metric, at, value, person_key(str(number % 7)), label
    )


def move(sessions: Sessions, creator: User, zone: str) -> None:
    with sessions.begin() as session:
        session.execute(update(User).where(User.id == creator.id).values(time_zone=zone))


def of(figures: list[Figure]) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in figures}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 45 * 24 * 4), min_size=1, max_size=40),
    st.sampled_from(["UTC", "Europe/Paris", KATHMANDU]),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(Granularity),
    st.booleans(),
)
def test_a_series_and_a_summary_count_what_there_is(
    sessions: Sessions,
    creator: User,
    quarters: list[int],
    name: str,
    skip: int,
    length: int,
    by: Granularity,
    own: bool,
) -> None:
    with sessions.begin() as session:
        for table in ("facts", "event_ids", "buckets", "periods", "zones", "stale", "stale_months"):
            session.execute(text(f"TRUNCATE analytics_{table}"))
    zone = ZoneInfo(name)
    move(sessions, creator, name if own else "UTC")
    facts = [fact(number, START + timedelta(minutes=15 * at)) for number, at in enumerate(quarters)]
    load(sessions, creator.id, facts)
    roll_all(sessions)
    first = date(2024, 3, 20) + timedelta(days=skip)
    wanted = Range(first, first + timedelta(days=min(length, 30)), zone, own or name == "UTC")
    inside = [one for one in facts if wanted.first <= day_of(one.occurred_at, zone) <= wanted.last]
    with sessions() as session:
        series = analytics_reads.series(session, creator.id, wanted, "messages.sent", by)
        summary = of(analytics_reads.summary(session, creator.id, wanted))
        hours = analytics_reads.best_hours(session, creator.id, wanted, 168)
    assert sum(point.count for point in series.points) == summary["messages.sent"] == len(inside)
    assert summary["fans.active"] == len({one.person for one in inside})
    weeks = [one for one in inside if day_of(one.occurred_at, zone) > wanted.last - timedelta(weeks=4)]
    assert sum(hour.count for hour in hours) == len(weeks), "of four weeks at most"
    if by is Granularity.DAY:
        for point in series.points:
            those = [one for one in inside if day_of(one.occurred_at, zone) == point.start]
            assert (point.count, point.persons.persons if point.persons else 0) == (
                len(those),
                len({one.person for one in those}),
            )


def test_a_month_that_lags_is_read_by_its_days(sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, [fact(1, START)])
    roll_all(sessions)
    load(sessions, creator.id, [fact(2, START)])
    with sessions.begin() as session:
        analytics_rollups.roll(session, wait=True)
    with sessions.begin() as session:
        analytics_periods.settle(session, wait=True)
    wanted = Range(date(2024, 3, 1), date(2024, 3, 31), ZoneInfo("UTC"))
    with sessions() as session:
        assert of(analytics_reads.summary(session, creator.id, wanted))["messages.sent"] == 2


def test_revenue_is_the_audits_to_the_cent(sessions: Sessions, creator: User) -> None:
    subscribe(sessions, creator)
    for month in range(2, 7):
        run(sessions, day(2025, month, 28))
    wanted = Range(date(2025, 1, 1), date(2025, 12, 31), ZoneInfo("UTC"))
    with sessions() as session:
        assert billing_audit.differences(session) == []
        figures = analytics_reads.summary(session, creator.id, wanted)
        series = {
            by: analytics_reads.series(session, creator.id, wanted, "revenue", by)
            for by in (Granularity.DAY, Granularity.WEEK, Granularity.MONTH)
        }
    net = next(one for one in figures if one.name == "revenue.net")
    assert net.currency == "EUR"
    assert net.value == -balances(sessions)["revenue"] > 0
    for told in series.values():
        assert (told.currency, sum(point.total for point in told.points)) == ("EUR", net.value)


def test_a_version_changes_with_the_figures_and_with_nothing_else(sessions: Sessions, creator: User) -> None:
    def version(creator_id: uuid.UUID = creator.id) -> str:
        with sessions() as session:
            return analytics_versions.version(session, creator_id)

    nobody, before = version(uuid.UUID(int=9)), version()
    load(sessions, creator.id, [fact(1, START)])
    assert version() == before, "what is not counted yet changes no figure"
    roll_all(sessions)
    assert version() != before
    before = version()
    roll_all(sessions)
    assert version() == before
    load(sessions, creator.id, [fact(2, START - timedelta(days=10))])
    roll_all(sessions)
    assert version() != before, "late data"
    assert version(uuid.UUID(int=9)) == nobody


def test_key_figures(sessions: Sessions, creator: User) -> None:
    facts = [fact(number, START, "messages.response", 1000 * number) for number in range(1, 101)]
    facts += [fact(number, START, "subscriptions.started", label="pro") for number in range(10)]
    facts += [fact(number, START + timedelta(days=4), "subscriptions.ended", label="pro") for number in range(2)]
    facts += [fact(number, START, "content.views", label=f"film-{number % 3}") for number in range(7)]
    load(sessions, creator.id, facts)
    roll_all(sessions)
    wanted = Range(date(2024, 4, 1), date(2024, 4, 30), ZoneInfo("UTC"))
    with sessions() as session:
        april = of(analytics_reads.summary(session, creator.id, wanted))
        march = of(analytics_reads.summary(session, creator.id, wanted.before()))
        ranked = analytics_reads.top(session, creator.id, wanted.before(), "content.views", by_total=False, limit=2)
        rows = analytics_reads.cohorts(session, creator.id, wanted, 2)
        earlier, compared = analytics_reads.compare(session, creator.id, wanted)
    assert (april["subscriptions.ended"], april["subscriptions.churn"]) == (2, 0.2)
    assert (march["messages.response_median"], march["messages.response_p95"]) == (50_000, 95_000)
    assert april["messages.response_median"] is None
    assert [(one.label, one.count) for one in ranked] == [("film-0", 3), ("film-1", 2)]
    assert [(one.persons, one.retained) for one in rows] == [(7, (7, 0)), (0, (0,))]
    assert (earlier.first, earlier.last) == (date(2024, 3, 1), date(2024, 3, 31))
    started = next(one for one in compared if one.figure.name == "subscriptions.started")
    assert (started.figure.value, started.before, started.change) == (0, 10, -1.0)


def test_by_the_hour_a_range_is_short(sessions: Sessions, creator: User) -> None:
    wanted = Range(date(2024, 4, 1), date(2024, 6, 1), ZoneInfo("UTC"))
    with sessions() as session, pytest.raises(BadRange):
        analytics_reads.series(session, creator.id, wanted, "logins", Granularity.HOUR)
