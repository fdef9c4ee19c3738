"""One series or many, all at once or through storage after each hour: the same scores; and what fires, and when."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from huntaze.pipelines.trends.detector import Detector, Floats, _slot, _slots, pack, unpack

HOURLY = Detector()
START = 490_000  # a bucket of 2025
QUIET = 24 * 10
COUNTS = st.lists(st.lists(st.integers(0, 5000), min_size=3, max_size=3), min_size=1, max_size=90)


def told(detector: Detector, values: NDArray[np.float32], start: int = START) -> tuple[Floats, NDArray[np.bool_]]:
    """(hours, series) of counts -> strengths and alarms of the same shape."""
    states = detector.fresh(values.shape[1])
    rows = []
    for number, row in enumerate(values):
        states, scores = detector.step(states, row, start + number)
        rows.append(scores)
    return np.array([row.strength for row in rows]), np.array([row.fired for row in rows])


@given(st.integers(0, 10**9), st.integers(1, 90), st.sampled_from([1, 7, 60, 300, 997, 3600, 5400, 86_400]))
def test_hours_of_the_day_are_counted_as_if_bucket_by_bucket(bucket: int, span: int, step_s: int) -> None:
    assert dict(_slots(bucket, span, step_s)) == Counter(_slot(bucket - ago, step_s) for ago in range(span))


def a_day(hours: int, level: float) -> list[float]:
    """Counts that rise and fall with the hour of the day, without noise."""
    return [round(level * (1 + 0.8 * math.sin(2 * math.pi * (START + hour) / 24))) for hour in range(hours)]


def column(values: list[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)[:, None]


@settings(deadline=None, max_examples=40)
@given(COUNTS)
def test_one_by_one_and_stored_after_each_hour_is_the_same_as_all_at_once(counts: list[list[int]]) -> None:
    eager = Detector(warm_up_d=0.25)  # so that short series say something
    values = np.array(counts, np.float32)
    strengths, fired = told(eager, values)
    for series in range(values.shape[1]):
        state = eager.fresh(1)
        for hour, value in enumerate(values[:, series]):
            before = state.copy()
            after, scores = eager.step(state, np.array([value]), START + hour)
            assert np.array_equal(state, before, equal_nan=True), "the state that was handed in is as it was"
            assert (scores.strength[0], scores.fired[0]) == (strengths[hour, series], fired[hour, series])
            state = unpack(pack(after), eager.fields)


@settings(deadline=None, max_examples=40)
@given(COUNTS, st.integers(0, 89))
def test_nothing_is_known_of_what_comes_later(counts: list[list[int]], cut: int) -> None:
    eager = Detector(warm_up_d=0.25)
    values = np.array(counts, np.float32)
    strengths, fired = told(eager, values)
    short, short_fired = told(eager, values[: cut + 1])
    assert np.array_equal(short, strengths[: cut + 1])
    assert np.array_equal(short_fired, fired[: cut + 1])


@settings(deadline=None, max_examples=40)
@given(COUNTS)
def test_alarms_are_a_cool_down_apart_and_strong(counts: list[list[int]]) -> None:
    eager = Detector(warm_up_d=0.25, cool_down_h=12, threshold=1)
    strengths, fired = told(eager, np.array(counts, np.float32))
    assert (strengths[fired] >= 1).all()
    assert np.isfinite(strengths).all()
    for series in range(3):
        assert (np.diff(np.flatnonzero(fired[:, series])) >= 12).all()


@pytest.mark.parametrize("level", [0, 3, 40, 1000])
def test_a_day_like_the_others_is_no_alarm_and_a_burst_is(level: float) -> None:
    quiet = a_day(QUIET, level)
    _, fired = told(HOURLY, column([*quiet, *a_day(QUIET + 12, level)[QUIET:]]))
    assert not fired.any()
    strengths, fired = told(HOURLY, column([*quiet, 10 * level + 30]))
    assert np.flatnonzero(fired[:, 0]).tolist() == [QUIET]
    assert strengths[-1, 0] > 1


def test_a_swell_fires_that_no_single_hour_shows() -> None:
    noise = np.random.default_rng(7)
    quiet = noise.poisson(20, QUIET).astype(float).tolist()
    swell = [*quiet, *[36.0] * 6]
    assert told(HOURLY, column(swell))[1].any()
    assert not told(Detector(spans_h=(1.0,)), column(swell))[1].any()


def test_the_same_count_at_an_hour_that_is_always_busy_is_news_at_night_only() -> None:
    """The profile over the day: without it, either the night's burst is missed or each evening fires."""
    quiet = [200.0 if (START + hour) % 24 == 20 else 10.0 for hour in range(24 * 20)]
    strengths, fired = told(HOURLY, column([*quiet, 200.0]))
    assert (START + len(quiet)) % 24 != 20
    assert np.flatnonzero(fired[:, 0]).tolist() == [len(quiet)]
    evening = next(hour for hour in range(24 * 18, 24 * 20) if (START + hour) % 24 == 20)
    assert strengths[evening, 0] < strengths[-1, 0] / 3


def test_nothing_fires_before_it_is_warm_and_a_new_topic_has_been_silent() -> None:
    early = column([0.0] * 40 + [500.0])
    assert not told(HOURLY, early)[1].any()
    _, scores = HOURLY.step(HOURLY.fresh(1, seen=40), np.array([500.0]), START)
    assert not scores.fired[0]
    _, scores = HOURLY.step(HOURLY.fresh(1, seen=400), np.array([500.0]), START)
    assert scores.fired[0]


def test_what_bursts_every_day_stops_being_news() -> None:
    hours = [5 + 300.0 * (hour >= QUIET and hour % 31 == 0) for hour in range(24 * 50)]
    _, fired = told(HOURLY, column(hours))
    assert fired[QUIET : QUIET + 31].any()
    assert not fired[QUIET + 24 * 14 :].any()


def test_a_value_that_is_no_count_has_no_floor() -> None:
    rates = [*(0.5 + 0.01 * (-1) ** hour for hour in range(QUIET)), 0.9]
    assert not told(HOURLY, column(rates))[1].any()
    _, fired = told(Detector(counts=False), column(rates))
    assert np.flatnonzero(fired[:, 0]).tolist() == [QUIET]


def test_days_are_known_as_well_as_hours_after_as_many_of_them() -> None:
    daily = Detector(step_s=86_400)
    counts = [*(100.0 + 7 * (day % 3) for day in range(40)), 900.0, *[100.0] * 30, 3000.0]
    _, fired = told(daily, column(counts), START // 24)
    assert np.flatnonzero(fired[:, 0]).tolist() == [len(counts) - 1]


def test_a_state_of_other_parameters_is_not_read() -> None:
    states = HOURLY.fresh(2)
    assert unpack([], HOURLY.fields).shape == (HOURLY.fields, 0)
    with pytest.raises(ValueError, match="should have 40 numbers"):
        unpack(pack(states), 40)
    assert len(pack(states)[0]) == 4 * HOURLY.fields < 200
