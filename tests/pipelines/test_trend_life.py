"""A trend is told where it stands by its hours alone, and once it is over it stays so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.trends.life import TrendState, confidence, live, rank

BEFORE = [1.0] * 12
RISE = [5.0, 10.0, 20.0, 40.0]
VALUES = st.lists(st.floats(0, 1e4), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("since", "state"),
    [
        ([5.0], TrendState.EMERGING),
        (RISE, TrendState.EMERGING),
        ([*RISE, *[40.0] * 9], TrendState.PEAKING),
        ([*RISE, *[40.0] * 9, *[10.0] * 6], TrendState.FADING),
        ([*RISE, *[40.0] * 9, *[10.0] * 6, *[80.0] * 3], TrendState.EMERGING),
        ([*RISE, *[40.0] * 9, *[0.0] * 16], TrendState.FADING),
        ([*RISE, *[40.0] * 9, *[0.0] * 17], TrendState.OVER),
        ([*RISE, *[40.0] * 9, *[0.0] * 17, 500.0], TrendState.OVER),
    ],
)
def test_a_trend_rises_stands_falls_and_ends(since: list[float], state: TrendState) -> None:
    assert live([*BEFORE, *since], len(BEFORE)).state == state


def test_levels_velocity_and_lead_are_of_hours() -> None:
    life = live([*BEFORE, *[13.0] * 6], len(BEFORE))
    assert (life.level, life.peak, life.peak_h, life.velocity) == (13.0, 13.0, 5, 2.0)
    assert life.lead_h is None
    assert live([*BEFORE, *[13.0] * 12], len(BEFORE)).lead_h == 5
    assert live([*BEFORE, *[13.0] * 6, *[1.0] * 6], len(BEFORE)).velocity == -2.0
    with pytest.raises(ValueError, match="alarm"):
        live(BEFORE, len(BEFORE))


@given(VALUES, VALUES, st.data())
def test_the_end_is_final_and_the_peak_never_falls(values: list[float], more: list[float], data: st.DataObject) -> None:
    alarm = data.draw(st.integers(0, len(values) - 1))
    then, later = live(values, alarm), live([*values, *more], alarm)
    assert later.peak >= then.peak
    assert later.peak_h >= then.peak_h
    assert 0 <= later.peak_h < len(values) + len(more) - alarm
    if then.state == TrendState.OVER:
        assert later.state == TrendState.OVER


def test_confidence_is_a_bound_and_one_voice_lowers_it() -> None:
    assert confidence(6.0, 20, 18) == pytest.approx(36 / 37)
    assert confidence(6.0, 20, 5) == pytest.approx(36 / 37 / 2)
    assert confidence(9.0, 20, 18) > confidence(6.0, 20, 18)
    assert confidence(0.0, 20, 18) == confidence(6.0, 0, 0) == 0.0


def test_rank_halves_every_twelve_hours() -> None:
    assert rank(8.0, 0) == rank(8.0, -1) == 8.0
    assert rank(8.0, 12) == pytest.approx(4.0)
    assert rank(8.0, 36) == pytest.approx(1.0)
