"""Tries come when the schedule says, and end when it does."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.billing.retries import PATIENT, Dunning

FAILED = datetime(2026, 3, 28, 22, tzinfo=UTC)


@given(st.lists(st.integers(1, 60), max_size=12))
def test_tries_are_the_gaps_apart(gaps: list[int]) -> None:
    tries = Dunning(tuple(gaps)).tries(FAILED)
    assert [later - sooner for sooner, later in pairwise([FAILED, *tries])] == [timedelta(days=gap) for gap in gaps]


@given(st.integers(1, 20), st.integers(20, 90))
def test_an_even_schedule_ends_on_its_last_day(tries: int, days: int) -> None:
    gaps = Dunning.evenly(tries, days).gaps_days
    assert len(gaps) == tries
    assert sum(gaps) == days
    assert max(gaps) - min(gaps) <= 1


def test_the_patient_one_asks_eight_times_in_two_weeks() -> None:
    assert [(one - FAILED).days for one in PATIENT.tries(FAILED)] == [1, 3, 5, 7, 8, 10, 12, 14]
