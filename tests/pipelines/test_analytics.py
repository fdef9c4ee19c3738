"""Buckets, zones, sketches, the registry, a log."""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.analytics import buckets
from huntaze.pipelines.analytics.facts import MOST_VALUE, complaint, person_key
from huntaze.pipelines.analytics.metrics import METRICS, Door, Metric
from huntaze.pipelines.analytics.sketches import (
    EXACT,
    RELATIVE_ERROR,
    Held,
    count_persons,
    merge_values,
    percentile,
    unite_persons,
    without_person,
)
from huntaze.pipelines.analytics.weblog import BadLine, read_combined

MOMENTS = st.datetimes(datetime(1973, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone follows
ZONES = st.sampled_from(
    ["UTC", "Asia/Kathmandu", "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]
).map(ZoneInfo)


@given(moment=MOMENTS, zone=ZONES)
def test_a_bucket_is_of_one_day_in_any_zone(moment: datetime, zone: ZoneInfo) -> None:
    bucket = buckets.bucket_of(moment.astimezone(zone))
    assert bucket <= moment < bucket + buckets.BUCKET
    assert bucket.timestamp() % 900 == 0
    last = bucket + buckets.BUCKET - timedelta(microseconds=1)
    day = buckets.day_of(bucket, zone)
    assert day == buckets.day_of(last, zone)
    start, end = buckets.day_bounds(day, zone)
    assert start <= bucket < end


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2024, 3, 10), "America/New_York", 23),
        (date(2024, 11, 3), "America/New_York", 25),
        (date(2024, 10, 6), "Australia/Lord_Howe", 23.5),
        (date(2024, 4, 7), "Australia/Lord_Howe", 24.5),
        (date(2024, 11, 3), "America/Havana", 25),
        (date(2024, 4, 26), "Africa/Cairo", 23),
        (date(2024, 7, 1), "Asia/Kathmandu", 24),
        (date(2011, 12, 30), "Pacific/Apia", 0),
    ],
)
def test_days_have_the_length_that_their_zone_gives_them(day: date, zone: str, hours: float) -> None:
    start, end = buckets.day_bounds(day, ZoneInfo(zone))
    assert (end - start) == timedelta(hours=hours)
    assert buckets.day_bounds(day - timedelta(days=1), ZoneInfo(zone))[1] == start


def test_months() -> None:
    assert buckets.months_before(date(2026, 1, 31), 13) == date(2024, 12, 1)
    assert buckets.months_before(date(2026, 12, 1), -2) == date(2027, 2, 1)
    assert list(buckets.months_between(date(2025, 12, 31), date(2026, 2, 1))) == [
        date(2025, 12, 1),
        date(2026, 1, 1),
        date(2026, 2, 1),
    ]


KEYS = st.integers(-(2**63), 2**63 - 1)


@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_persons_are_a_function_of_their_set_however_they_were_merged(sizes: list[int], seed: int) -> None:
    dice = random.Random(seed)
    sets = [[dice.randrange(-4000, 4000) for _ in range(size)] for size in sizes]
    parts = [unite_persons([Held(part)]) for part in sets]
    everybody = {person for part in sets for person in part}
    at_once = unite_persons([Held(sorted(everybody))])
    dice.shuffle(parts)
    assert unite_persons(parts) == unite_persons([unite_persons(parts[:2]), *parts[1:]]) == at_once
    counted = count_persons(at_once)
    if len(everybody) <= 4096:
        assert counted.persons == counted.low == counted.high == len(everybody)
    else:
        assert counted.persons == pytest.approx(len(everybody), rel=0.07)
    assert (at_once.sketch is None) == (len(everybody) <= EXACT)


def test_the_bounds_of_an_estimate_hold_in_95_of_100_cases() -> None:
    held = [unite_persons([Held(list(range(start, start + 20_000)))]) for start in range(0, 2_000_000, 20_000)]
    found = [count_persons(one) for one in held]
    assert sum(one.low <= 20_000 <= one.high for one in found) >= 90
    assert max(abs(one.persons - 20_000) for one in found) < 20_000 * 0.0625, "four standard errors"


@given(persons=st.sets(KEYS, max_size=20), gone=KEYS)
def test_a_person_is_taken_out(persons: set[int], gone: int) -> None:
    for many in (set[int](), set(range(1000)), set(range(9000))):
        with_them = unite_persons([Held(sorted(persons | many | {gone}))])
        left = without_person(with_them, gone)
        assert without_person(left, gone) == left
        few = unite_persons([Held(sorted((persons | many) - {gone}))])
        assert count_persons(left).persons == pytest.approx(count_persons(few).persons, rel=0.001, abs=1)
        if few.sketch is None and left.sketch is None:
            assert left == few


VALUES = st.lists(st.integers(0, MOST_VALUE), max_size=3 * EXACT)


@given(parts=st.lists(VALUES, min_size=1, max_size=3), share=st.floats(0, 1))
def test_a_percentile_is_off_by_one_percent_at_most(parts: list[list[int]], share: float) -> None:
    values = sorted(value for part in parts for value in part)
    merged = merge_values([merge_values([Held(part)]) for part in parts])
    assert merged == merge_values([Held(values[::-1])]), "whatever was merged with what"
    found = percentile(merged, share)
    if not values:
        assert found is None
        return
    assert found is not None
    exact = values[min(max(-int(-share * len(values) // 1) - 1, 0), len(values) - 1)]
    assert abs(found - exact) <= RELATIVE_ERROR * exact
    assert (merged.sketch is None) == (len(values) <= EXACT)


def test_a_sketch_is_small_whatever_it_has_seen() -> None:
    dice = random.Random(1)
    values = [int(10 ** dice.uniform(0, 12)) for _ in range(200_000)]
    held = merge_values([Held(values)])
    persons = unite_persons([Held(list(range(200_000)))])
    assert held.sketch is not None
    assert persons.sketch is not None
    assert len(held.sketch) < 13_000
    assert len(persons.sketch) < 33_000


def test_a_metric_without_values_has_no_percentiles() -> None:
    with pytest.raises(ValueError, match="no value"):
        Metric("x", "x", spread=True)
    assert all(name == metric.name for name, metric in METRICS.items())
    assert complaint("transactions", 100, "EUR/tips", Door.LEDGER) is None
    assert complaint("transactions", 100, "EUR/tips", Door.OPEN) is not None, "money comes from the ledger alone"


def test_a_person_is_the_same_everywhere_and_stays_so() -> None:
    assert person_key("fan-7") == 4631956328082511378


LINE = '1.2.3.4 - - [17/May/2015:10:05:03 +0530] "GET /a\\"b HTTP/1.1" 404 - "-" "x"'


def test_a_line_of_a_log() -> None:
    (fact,) = read_combined([LINE + "\r\n"])
    assert fact.occurred_at == datetime(2015, 5, 17, 4, 35, 3, tzinfo=UTC)
    assert (fact.label, fact.value, fact.person) == ("404", 0, person_key("1.2.3.4"))


def test_lines_that_are_equal_are_two_and_have_the_same_ids_again() -> None:
    first, again = ([fact.event_id for fact in read_combined([LINE, LINE, LINE])] for _ in range(2))
    assert first == again
    assert len(set(first)) == 3
    assert all(isinstance(one, uuid.UUID) for one in first)


@pytest.mark.parametrize("line", ["", "x", LINE.replace("May", "Mai"), LINE.replace("404", "4O4"), LINE[:40]])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(BadLine, match="line 2 is not"):
        list(read_combined([LINE, line]))
