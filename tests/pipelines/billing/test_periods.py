"""Periods tile time, whatever the anchor, the zone and the cycle."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.periods import Cycle, Period, Unit, cycle_on_day
from tests.pipelines.billing.builders import utc

# Summer time of both hemispheres, by half an hour (Lord Howe), a skipped day (Apia), odd offsets, Ramadan (Casablanca).
ZONES = st.sampled_from(
    (
        "UTC",
        "America/New_York",
        "Europe/Dublin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Africa/Cairo",
    )
)
MOMENTS = st.datetimes(datetime(1995, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CYCLES = st.builds(
    Cycle,
    anchor=MOMENTS,
    zone=ZONES,
    unit=st.sampled_from(Unit),
    count=st.integers(1, 7),
)


@settings(deadline=None, max_examples=200)
@given(CYCLES, MOMENTS)
@example(Cycle(datetime(2011, 12, 1, 10, tzinfo=UTC), "Pacific/Apia", Unit.DAY), datetime(2011, 12, 25, tzinfo=UTC))
def test_periods_tile_time(cycle: Cycle, since: datetime) -> None:
    found = list(islice(cycle.periods(since), 60))
    assert since in found[0]
    assert all(period.start < period.end for period in found)
    assert all(sooner.end == later.start for sooner, later in pairwise(found))


@settings(deadline=None, max_examples=200)
@given(CYCLES, MOMENTS)
def test_a_moment_is_in_one_period_and_the_anchor_starts_one(cycle: Cycle, moment: datetime) -> None:
    period = cycle.period_at(moment)
    assert moment in period
    assert cycle.period_at(period.start) == period
    assert cycle.period_at(period.end - timedelta(microseconds=1)) == period
    assert cycle.period_at(period.end).start == period.end
    assert cycle.boundary(0) == cycle.anchor


@settings(deadline=None, max_examples=100)
@given(MOMENTS, ZONES, st.integers(1, 30))
def test_months_keep_the_anchors_day_over_decades(anchor: datetime, zone: str, years: int) -> None:
    cycle = Cycle(anchor, zone)
    first = anchor.astimezone(ZoneInfo(zone))
    local = [cycle.boundary(n).astimezone(ZoneInfo(zone)) for n in range(12 * years)]
    months = [moment.year * 12 + moment.month for moment in local]
    assert months == list(range(months[0], months[0] + len(months))), "one boundary a month, none skipped or doubled"
    # Below the day only where the month is shorter; above it only by what a zone skipped.
    assert all(moment.day >= min(first.day, 28) for moment in local)
    assert all((moment - timedelta(days=1)).day <= first.day for moment in local if moment.day > first.day)


@settings(deadline=None, max_examples=100)
@given(CYCLES, MOMENTS, st.lists(st.timedeltas(timedelta(0), timedelta(days=90)), min_size=1, max_size=8))
def test_runs_bill_every_period_once_however_time_is_cut(cycle: Cycle, start: datetime, steps: list[timedelta]) -> None:
    upto, at, billed = start, start, []
    for step in steps:
        at += step
        for period in islice(cycle.due(upto, at), 400):
            billed.append(period)
            upto = period.end
    assert billed[:400] == list(islice(cycle.due(start, upto - timedelta(microseconds=1)), 400))
    assert billed[0].start == start
    assert all(sooner.end == later.start for sooner, later in pairwise(billed))


def test_the_31st_comes_back_after_february() -> None:
    days = [f"{cycle_on_day(utc('2023-01-31'), 31).boundary(n):%m-%d}" for n in range(5)]
    assert days == ["01-31", "02-28", "03-31", "04-30", "05-31"]


def test_a_clamped_start_keeps_the_day_that_was_wanted() -> None:
    cycle = cycle_on_day(utc("2023-02-10"), 31)
    assert [f"{cycle.boundary(n):%m-%d}" for n in range(3)] == ["02-28", "03-31", "04-30"]


def test_summer_time_makes_a_month_an_hour_shorter_or_longer() -> None:
    cycle = Cycle(datetime(2026, 3, 1, tzinfo=ZoneInfo("America/New_York")), "America/New_York")
    hours = [(cycle.boundary(n + 1) - cycle.boundary(n)) / timedelta(hours=1) for n in (0, 8)]
    assert hours == [31 * 24 - 1, 30 * 24 + 1]


def test_an_anchor_in_the_repeated_hour_is_its_own_boundary() -> None:
    second = datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York"))
    cycle = Cycle(second.astimezone(UTC), "America/New_York")
    assert cycle.boundary(0) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_a_piece_cut_out_of_the_middle_leaves_two() -> None:
    whole = Period(utc("2026-01-01"), utc("2026-02-01"))
    hole = Period(utc("2026-01-10"), utc("2026-01-12"))
    assert whole.minus(hole) == [Period(whole.start, hole.start), Period(hole.end, whole.end)]
    assert whole.minus(whole) == []
    assert whole.minus(Period(utc("2027-01-01"), utc("2028-01-01"))) == [whole]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "\0"])
def test_a_zone_that_nobody_knows_is_named(zone: str) -> None:
    with pytest.raises(BillingError, match=r"billing\.unknown_zone"):
        Cycle(utc("2026-01-01"), zone)


def test_a_cycle_that_counts_nothing_and_a_period_backwards_are_refused() -> None:
    with pytest.raises(BillingError, match=r"billing\.bad_cycle"):
        Cycle(utc("2026-01-01"), count=0)
    with pytest.raises(BillingError, match=r"billing\.bad_cycle"):
        Cycle(utc("2026-01-01"), day=32)
    with pytest.raises(BillingError, match=r"billing\.period_backwards"):
        Period(utc("2026-02-01"), utc("2026-01-01"))
