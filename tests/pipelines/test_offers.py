"""Offers: their states by action and by the clock, their times in zones, their price."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.offers.states import (
    ENDS_BY_TIME,
    Action,
    OfferState,
    after,
    by_the_clock,
    check_change,
    check_times,
    with_quota,
)
from huntaze.pipelines.offers.terms import Terms, instant, pays

NOW = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
S = OfferState
STATES = st.sampled_from(OfferState)
MOMENTS = st.none() | st.integers(-3, 3).map(lambda hours: NOW + hours * HOUR)


@pytest.mark.parametrize(
    ("state", "start", "end", "true"),
    [
        (S.SCHEDULED, 1, 2, S.SCHEDULED),
        (S.SCHEDULED, 0, 2, S.ACTIVE),
        (S.SCHEDULED, -2, -1, S.EXPIRED),
        (S.SCHEDULED, -1, None, S.ACTIVE),
        (S.ACTIVE, -1, 0, S.EXPIRED),
        (S.ACTIVE, -1, 1, S.ACTIVE),
        (S.PAUSED, -1, 1, S.PAUSED),
        (S.PAUSED, -2, -1, S.EXPIRED),
        (S.EXHAUSTED, -2, -1, S.EXPIRED),
        (S.DRAFT, -2, -1, S.DRAFT),
        (S.CANCELLED, -2, -1, S.CANCELLED),
    ],
)
def test_the_clock(state: OfferState, start: int, end: int | None, true: OfferState) -> None:
    ends_at = None if end is None else NOW + end * HOUR
    assert by_the_clock(state, NOW + start * HOUR, ends_at, NOW) == true


@given(STATES, MOMENTS, MOMENTS, st.integers(-5, 5), st.integers(0, 5))
def test_time_goes_one_way(
    state: OfferState, start: datetime | None, end: datetime | None, hours: int, more: int
) -> None:
    """To look twice is to look once, later; nothing past its end is open; ends stay."""
    early, late = NOW + hours * HOUR, NOW + (hours + more) * HOUR
    seen = by_the_clock(state, start, end, early)
    assert by_the_clock(seen, start, end, late) == by_the_clock(state, start, end, late)
    if end is not None and end <= early:
        assert seen not in ENDS_BY_TIME
    if state in (S.EXPIRED, S.CANCELLED):
        assert seen == state


WAYS = {
    (S.DRAFT, "schedule"): S.ACTIVE,
    (S.DRAFT, "cancel"): S.CANCELLED,
    (S.SCHEDULED, "pause"): S.PAUSED,
    (S.SCHEDULED, "cancel"): S.CANCELLED,
    (S.ACTIVE, "pause"): S.PAUSED,
    (S.ACTIVE, "cancel"): S.CANCELLED,
    (S.PAUSED, "pause"): S.PAUSED,
    (S.PAUSED, "resume"): S.ACTIVE,
    (S.PAUSED, "cancel"): S.CANCELLED,
    (S.EXHAUSTED, "cancel"): S.CANCELLED,
    (S.CANCELLED, "cancel"): S.CANCELLED,
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", OfferState)
def test_every_way_and_no_other(state: OfferState, action: Action) -> None:
    wanted = WAYS.get((state, action))
    if wanted is None:
        with pytest.raises(Permanent) as refused:
            after(state, action, NOW - HOUR, NOW)
        assert refused.value.code == "offer.not_allowed"
    else:
        assert after(state, action, NOW - HOUR, NOW) == wanted


def test_a_start_in_the_past_is_active_at_once_and_one_to_come_is_scheduled() -> None:
    assert after(S.DRAFT, Action.SCHEDULE, NOW, NOW) == S.ACTIVE
    assert after(S.DRAFT, Action.SCHEDULE, None, NOW) == S.ACTIVE
    assert after(S.DRAFT, Action.SCHEDULE, NOW + HOUR, NOW) == S.SCHEDULED
    assert after(S.PAUSED, Action.RESUME, NOW + HOUR, NOW) == S.SCHEDULED


def test_quotas() -> None:
    assert with_quota(S.ACTIVE, 5, 4) == S.ACTIVE
    assert with_quota(S.ACTIVE, 5, 5) == S.EXHAUSTED
    assert with_quota(S.EXHAUSTED, 6, 5) == S.ACTIVE
    assert with_quota(S.EXHAUSTED, None, 5) == S.ACTIVE
    assert with_quota(S.PAUSED, 5, 5) == S.PAUSED
    with pytest.raises(Permanent, match="quota_too_low"):
        with_quota(S.ACTIVE, 4, 5)


def test_times() -> None:
    for start, end in ((NOW, NOW), (NOW, NOW - HOUR)):
        with pytest.raises(Permanent, match=r"offer\.times"):
            check_times(start, end)
    with pytest.raises(Permanent, match="future"):
        check_times(NOW - 2 * HOUR, NOW - HOUR, NOW)
    check_times(NOW - 2 * HOUR, NOW - HOUR)
    check_times(None, None, NOW)


def test_what_fans_have_seen_stays() -> None:
    check_change(S.DRAFT, {"code", "price_minor", "starts_at"})
    check_change(S.ACTIVE, {"name", "ends_at", "quota", "audience"})
    for state, field in (
        (S.SCHEDULED, "code"),
        (S.ACTIVE, "percent_off_bp"),
        (S.EXPIRED, "name"),
        (S.PAUSED, "starts_at"),
    ):
        with pytest.raises(Permanent, match=field):
            check_change(state, {field})


@pytest.mark.parametrize(
    ("wall", "zone", "utc"),
    [
        ("2026-11-02T10:30", "UTC", "2026-11-02T10:30"),
        ("2026-07-01T00:00", "Europe/Paris", "2026-06-30T22:00"),
        ("2026-01-01T00:00", "America/New_York", "2026-01-01T05:00"),
        ("2026-03-29T02:30", "Europe/Paris", "2026-03-29T01:30"),  # skipped: it is 03:30 by then
        ("2026-10-25T02:30", "Europe/Paris", "2026-10-25T00:30"),  # shown twice: the first
        ("2026-01-01T00:00", "Asia/Kathmandu", "2025-12-31T18:15"),
        ("2026-11-02T10:30+02:00", "America/New_York", "2026-11-02T08:30"),  # its own offset wins
    ],
)
def test_wall_clocks(wall: str, zone: str, utc: str) -> None:
    assert instant(datetime.fromisoformat(wall), zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@given(st.integers(0, 10**12), st.integers(1, 10_000))
def test_a_share_off(price: int, share: int) -> None:
    paid = pays(Terms(percent_off_bp=share), price, "EUR")
    assert 0 <= paid <= price
    exact = price * Fraction(10_000 - share, 10_000)
    assert -Fraction(1, 2) <= paid - exact < Fraction(1, 2), "rounded once, halves in the fan's favour"
    if share == 10_000:
        assert paid == 0


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_price(price: int, usual: int) -> None:
    assert pays(Terms(price_minor=price, currency="EUR"), usual, "EUR") == min(price, usual)


def test_another_currency() -> None:
    with pytest.raises(Permanent, match=r"offer\.currency"):
        pays(Terms(price_minor=500, currency="EUR"), 999, "USD")
    assert pays(Terms(percent_off_bp=2500), 999, "JPY") == 749
