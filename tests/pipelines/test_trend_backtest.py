"""Series are read as they come and refused by line; the replay says one row a row."""

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from huntaze.pipelines.trends.backtest import BadSeries, Series, detector_for, read_series, replay

Shared = Callable[[str], Path]
HOUR = timedelta(hours=1)


def series_of(values: list[float]) -> Series:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    return read_series(["timestamp,value", *(f"{start + hour * HOUR},{value}" for hour, value in enumerate(values))])


def test_each_row_is_answered_as_it_stood() -> None:
    series = read_series(["value,timestamp,more", "3,2026-11-01 00:00:00,x", "4.5,2026-11-01T00:05:00Z,y"])
    rows = list(replay(series, detector_for(series)))
    assert [tuple(row) for row in rows] == [("2026-11-01 00:00:00", 3.0, 0.0), ("2026-11-01T00:05:00Z", 4.5, 0.0)]
    assert series.step_s == 300
    assert detector_for(series).counts is False


def test_an_alarm_is_a_score_of_one_and_nothing_else_is() -> None:
    series = series_of([*[5.0] * 24 * 6, 400.0, 400.0, 390.0, *[5.0] * 40])
    scores = [row.anomaly_score for row in replay(series, detector_for(series))]
    assert [index for index, score in enumerate(scores) if score >= 1] == [24 * 6]
    assert scores[24 * 6 + 1] == 0.999, "as strong, but told already"
    assert min(scores) >= 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: the column timestamp and value is missing"),
        (["time,value"], "line 1: the column timestamp is missing"),
        (["timestamp,value"], "line 2: there are no rows"),
        (["timestamp,value", "yesterday,3"], "line 2: timestamp 'yesterday' should be like"),
        (["timestamp,value", "2026-11-01,3", "2026-11-02,"], "line 3: value '' should be a number"),
        (["timestamp,value", "2026-11-01,nan"], "line 2: value 'nan'"),
        (["timestamp,value", "2026-11-01,1e300"], "line 2: value '1e300'"),
        (["timestamp,value", "2026-11-01"], "line 2: value ''"),
        (["timestamp,value", '"2026-11-01,3\n' + "x" * 200_000], "line 1: field larger than field limit"),
    ],
)
def test_what_is_no_series_is_refused_by_its_line(lines: list[str], message: str) -> None:
    with pytest.raises(BadSeries, match=message):
        read_series(lines)


def scorer(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("nab_score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the scorer leaves its files open
def test_the_benchmark_is_not_lost_unseen(shared: Shared) -> None:
    """One file of the Numenta Anomaly Benchmark; `benchmarks/trends.py` has all five and the table."""
    name = "realTweets/Twitter_volume_FB.csv"
    nab = scorer(shared("tools/nab_score.py"))
    with shared(f"data/nab/{name}").open(newline="") as lines:
        series = read_series(lines)
    scores = [row.anomaly_score for row in replay(series, detector_for(series))]
    times = [nab.P(stamp) for stamp in series.stamps]
    found = nab.evaluate({name: (times, scores)}, "standard", 1.0)
    assert (found["hit"], found["windows"]) == (2, 2)
    assert found["fp"] <= 2
    assert found["score"] > 85
