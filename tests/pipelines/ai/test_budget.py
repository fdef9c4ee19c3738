"""Scopes, months, forecasts."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.ai.budget import TOTAL, Scope, forecast, month_after, scopes_of, share_spent

ADA = uuid.UUID("01980a52-03c7-7d02-a1b5-52d1c0e8f3aa")


def test_a_call_counts_towards_all_its_scopes() -> None:
    assert scopes_of("vision", ADA) == [f"creator:{ADA}", "role:vision", "total"]
    assert scopes_of("vision", None) == ["role:vision", "total"]


def test_scopes_are_read_as_they_are_written() -> None:
    for scope in (TOTAL, Scope("role", "vision"), Scope("creator", str(ADA))):
        assert Scope.parse(str(scope)) == scope


@pytest.mark.parametrize("written", ["", "all", "total:x", "role", "role:", "creator:ada", "x:y"])
def test_what_is_no_scope(written: str) -> None:
    with pytest.raises(ValueError, match=r"scope|UUID"):
        Scope.parse(written)


@given(st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2100, 1, 1)), st.integers(-12, 12))  # noqa: DTZ001
def test_a_budget_resets_on_the_first_of_the_next_month(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=offset)))
    resets = month_after(moment)
    assert (resets.day, resets.hour, resets.tzinfo) == (1, 0, UTC)
    assert timedelta(0) < resets - moment <= timedelta(days=31)
    assert (resets - timedelta(microseconds=1)).month == moment.astimezone(UTC).month


def test_months_are_utc() -> None:
    sydney = timezone(timedelta(hours=11))
    assert month_after(datetime(2026, 12, 1, 9, tzinfo=sydney)) == datetime(2026, 12, 1, tzinfo=UTC)
    assert month_after(datetime(2026, 12, 31, 23, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_forecast_goes_on_as_it_went() -> None:
    week, day = 7 * 86_400.0, 86_400.0
    assert forecast(1000, 700, week, 10 * day) == 2000
    assert forecast(1000, 0, week, 10 * day) == 1000
    assert forecast(100, 100, 60, day) == 200, "a call in the first minute is taken as a day's"
    with pytest.raises(ValueError, match="negative"):
        forecast(1, 1, 1, -1)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 10**7), st.floats(0, 3 * 10**6))
def test_a_forecast_is_never_less_than_what_is_spent(spent: int, lately: int, lately_s: float, left_s: float) -> None:
    assert forecast(spent, lately, lately_s, left_s) >= spent


def test_shares() -> None:
    assert (share_spent(0, 0), share_spent(5, 10)) == (1.0, 0.5)
