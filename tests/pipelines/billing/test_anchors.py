"""A day of the month that is asked for is the day that is billed on, in each month that has it."""

import calendar
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.billing.anchors import anchor_on_day
from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.periods import Cycle, Unit, zone_of

STARTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"])


@given(STARTS, st.integers(1, 31), ZONES)
@settings(max_examples=150)
def test_each_month_is_billed_on_the_day_or_its_last(start: datetime, day: int, zone: str) -> None:
    anchor = anchor_on_day(start, day, zone, Unit.MONTH)
    first = Cycle(anchor, zone).period_at(start)
    assert first.start <= start < first.end <= start + timedelta(days=33)
    boundary = first.end
    for _ in range(14):
        local = boundary.astimezone(zone_of(zone))
        assert local.day == min(day, calendar.monthrange(local.year, local.month)[1])
        boundary = Cycle(anchor, zone).period_at(boundary).end


def test_the_31st_asked_for_in_february_stays_the_31st() -> None:
    start = datetime(2025, 2, 10, tzinfo=UTC)
    anchor = anchor_on_day(start, 31, "UTC", Unit.MONTH)
    assert anchor == datetime(2025, 3, 31, tzinfo=UTC)
    assert Cycle(anchor).period_at(start).end == datetime(2025, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(("unit", "count", "day"), [(Unit.WEEK, 1, 5), (Unit.DAY, 30, 5), (Unit.YEAR, 1, 30)])
def test_a_plan_without_such_a_day_is_refused(unit: Unit, count: int, day: int) -> None:
    with pytest.raises(BillingError):
        anchor_on_day(datetime(2025, 2, 10, tzinfo=UTC), day, "UTC", unit, count)
