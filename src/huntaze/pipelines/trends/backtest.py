"""Any series, replayed through the detector as if it came in now: what it would have said, row by row."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from statistics import median
from typing import NamedTuple

import numpy as np

from huntaze.pipelines.trends.detector import Detector

_COLUMNS = ("timestamp", "value")
_HELD = 0.999  # the most that a row can say that is no alarm: another one is too fresh
_LARGEST = 1e15  # beyond it squares leave the range of a state's numbers


class BadSeries(ValueError):
    """The file is no series; the message names the line and says what it should be."""


@dataclass(frozen=True)
class Series:
    """Rows in the order of the file, which is taken for the order of time. `stamps` are as they stood there."""

    stamps: list[str]
    moments: list[datetime]  # aware; what names no zone is UTC
    values: list[float]

    @property
    def step_s(self) -> int:
        """Seconds from row to row, the median: the bucket of this series."""
        gaps = [(late - early).total_seconds() for early, late in pairwise(self.moments)]
        return max(1, round(median(gaps))) if gaps else 3600


class Row(NamedTuple):
    """`anomaly_score` is 1.0 or more where there is an alarm, and nowhere else."""

    timestamp: str
    value: float
    anomaly_score: float


def read_series(lines: Iterable[str]) -> Series:
    """A CSV file with the columns timestamp (ISO 8601) and value; others are passed over. Raises BadSeries."""
    reader = csv.DictReader(lines)
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadSeries(f"line 1: the column {' and '.join(missing)} is missing; a series has timestamp,value")
    series = Series([], [], [])
    try:
        for row in reader:
            stamp = row["timestamp"] or ""
            series.stamps.append(stamp)
            series.moments.append(_moment(stamp, reader.line_num))
            series.values.append(_value(row["value"] or "", reader.line_num))
    except csv.Error as error:
        raise BadSeries(f"line {reader.line_num}: {error}") from None
    if not series.stamps:
        raise BadSeries("line 2: there are no rows")
    return series


def _moment(text: str, line: int) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadSeries(f"line {line}: timestamp {text!r} should be like 2026-11-23 06:05:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _value(text: str, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or abs(value) > _LARGEST:
        raise BadSeries(f"line {line}: value {text!r} should be a number of at most {_LARGEST:g}")
    return value


def detector_for(series: Series) -> Detector:
    """The product's detector with this series' step; the Poisson floor is for what can be counts."""
    whole = all(value >= 0 and value.is_integer() for value in series.values)
    return Detector(step_s=series.step_s, counts=whole)


def replay(series: Series, detector: Detector) -> Iterator[Row]:
    """What the detector says of each row, knowing those above it."""
    state = detector.fresh(1)
    for stamp, moment, value in zip(series.stamps, series.moments, series.values, strict=True):
        bucket = int(moment.timestamp()) // detector.step_s
        state, scores = detector.step(state, np.array([value], np.float32), bucket)
        strength = float(scores.strength[0])
        score = max(1.0, strength) if scores.fired[0] else min(max(0.0, strength), _HELD)
        yield Row(stamp, value, round(score, 4))
