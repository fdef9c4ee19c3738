"""Ranges that are cut and covered, and what figures say together."""

from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.analytics.buckets import months_between, next_month
from huntaze.pipelines.analytics.ranges import (
    BadRange,
    Granularity,
    Range,
    check,
    cover,
    cut,
    ending,
    zone_named,
)
from huntaze.pipelines.analytics.sketches import Held, unite_persons
from huntaze.pipelines.analytics.statistics import Figure, best_hours, churn, cohorts, compare, share

ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo")]
DAYS = st.dates(date(2023, 1, 1), date(2025, 12, 31))


@st.composite
def ranges(draw: st.DrawFn, most: int = 400) -> Range:
    first = draw(DAYS)
    return Range(first, first + timedelta(days=draw(st.integers(0, most))), draw(st.sampled_from(ZONES)))


@settings(max_examples=60)
@given(ranges(70), st.sampled_from(Granularity))
def test_pieces_follow_one_another_and_fill_the_range(wanted: Range, by: Granularity) -> None:
    pieces = cut(wanted, by)
    assert (pieces[0].start, pieces[-1].end) == wanted.bounds
    assert all(one.end == after.start for one, after in pairwise(pieces))
    assert all(piece.start < piece.end for piece in pieces)
    if by is Granularity.WEEK:
        assert all(piece.first.weekday() == 0 for piece in pieces[1:])


@settings(max_examples=60)
@given(ranges(), st.sets(DAYS.map(lambda day: day.replace(day=1)), max_size=5))
def test_a_cover_holds_each_day_once(wanted: Range, without: set[date]) -> None:
    months, runs = cover(wanted, without)
    whole = [(month, next_month(month) - timedelta(days=1)) for month in months]
    held = sorted(first + timedelta(days=day) for first, last in whole + runs for day in range((last - first).days + 1))
    assert held == [wanted.first + timedelta(days=day) for day in range(wanted.days)]
    assert not set(months) & without


def test_the_period_before() -> None:
    def before(first: str, last: str) -> tuple[str, str]:
        earlier = Range(date.fromisoformat(first), date.fromisoformat(last), ZONES[0]).before()
        return str(earlier.first), str(earlier.last)

    assert before("2024-03-10", "2024-03-16") == ("2024-03-03", "2024-03-09")
    assert before("2024-03-01", "2024-03-31") == ("2024-02-01", "2024-02-29")
    assert before("2024-01-01", "2024-03-31") == ("2023-10-01", "2023-12-31")


def test_what_cannot_be_read() -> None:
    today, zone = date(2024, 6, 1), ZONES[0]
    assert ending(None, None, today, zone, zone) == Range(date(2024, 5, 3), today, zone)
    for first, last, own, field in (
        (today, date(2024, 5, 31), True, "to"),
        (date(2019, 1, 1), date(2019, 1, 2), True, "from"),
        (date(2021, 1, 1), today, True, "from"),
        (date(2024, 1, 1), today, False, "from"),
    ):
        with pytest.raises(BadRange) as refused:
            check(Range(first, last, zone, own), today)
        assert refused.value.field == field
    assert [zone_named(name) for name in ("../etc/passwd", "", "Nowhere/Land")] == [None] * 3


def _figure(name: str, value: float | None, unit: str = "count", currency: str | None = None) -> Figure:
    return Figure(name, value, unit, "", currency)


def test_a_figure_beside_its_own_of_before() -> None:
    now = [_figure("a", 15), _figure("b", 0.5, "share"), _figure("c", 3), _figure("m", 200, "minor", "EUR")]
    then = [_figure("a", 10), _figure("b", 0.4, "share"), _figure("c", 0), _figure("m", 100, "minor", "USD")]
    told = {one.figure.key: (one.figure.value, one.before, one.change) for one in compare(now, then)}
    assert told == {
        ("a", None): (15, 10, 0.5),
        ("b", None): (0.5, 0.4, 0.1),
        ("c", None): (3, 0, None),
        ("m", "EUR"): (200, 0, None),
        ("m", "USD"): (0, 100, -1.0),
    }
    assert [share(1, 0), share(1, 3), churn(10, 2, 2), churn(3, 3, 1)] == [None, 0.3333, 0.25, None]


def test_the_best_hours() -> None:
    told = best_hours({(1, 9): 5, (7, 21): 10, (3, 4): 5, (2, 2): 0})
    assert [(one.weekday, one.hour, one.share) for one in told] == [(7, 21, 0.5), (1, 9, 0.25), (3, 4, 0.25)]
    assert best_hours({}) == []


MONTHS = list(months_between(date(2024, 1, 1), date(2024, 6, 1)))


@settings(max_examples=80)
@given(st.dictionaries(st.sampled_from(MONTHS), st.sets(st.integers(0, 30)), max_size=6), st.integers(0, 5))
def test_cohorts_are_those_of_the_sets(seen: dict[date, set[int]], start: int) -> None:
    told = cohorts({month: Held(sorted(persons)) for month, persons in seen.items()}, MONTHS[start:])
    for at, one in enumerate(told):
        month = MONTHS[start + at]
        past = {person for earlier, persons in seen.items() if earlier < month for person in persons}
        fresh = seen.get(month, set()) - past
        assert one.persons == len(fresh)
        kept = [len(fresh & seen.get(later, set())) for later in MONTHS[start + at + 1 :]]
        assert list(one.retained) == [len(fresh), *kept]
    everybody = {person for persons in seen.values() for person in persons}
    if start == 0:
        assert sum(one.persons for one in told) == len(everybody)


def test_cohorts_of_sketches_are_near() -> None:
    def held(numbers: range) -> Held:
        return unite_persons([Held([number * 2_654_435_761 for number in numbers])])

    seen = {MONTHS[0]: held(range(3000)), MONTHS[1]: held(range(2000, 4000)), MONTHS[2]: held(range(100))}
    told = cohorts(seen, MONTHS[:3])
    assert [one.retained for one in told] == [(3000, 1000, 100), (1000, 0), (0,)]
    large = cohorts({MONTHS[0]: held(range(20_000)), MONTHS[1]: held(range(10_000, 30_000))}, MONTHS[:2])
    assert large[0].retained[1] == pytest.approx(10_000, rel=0.15)
