"""Which counts are out of the ordinary: a streaming detector, for one series or a hundred thousand side by side.

State in, counts in, scores out, and no look ahead. Of each series it remembers a mean, a profile over the hours of the
day, and how far sums over one hour and over six have strayed from what was expected; all of it forgets exponentially.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
HOURS = 24
DAY_S = 86_400
# Rows of a state: buckets seen, mean, buckets since the last alarm, the profile's 24; then a variance a span and the
# last values, oldest first.
_SEEN, _MEAN, _SINCE, _PROFILE = range(4)
_STATE = np.dtype("<f4")


class Scores(NamedTuple):
    """Of each series, (series,). `strength`: 1.0 is the threshold. `fired`: it is reached, and no cool-down holds."""

    strength: Floats
    fired: NDArray[np.bool_]


@dataclass(frozen=True)
class Detector:
    """The parameters; `docs/decisions/0014-detector.md` has the reason and the sensitivity of each.

    Values are counts a bucket of `step_s` seconds. States are float32 (fields, series); a row of bytes each at rest.
    """

    step_s: int = 3600
    threshold: float = 6.0  # standard deviations above what was expected
    memory_d: float = 5.0  # time constant of all that is remembered
    gap_h: float = 6.0  # what is this fresh is not learned from yet: a rise must not become its own measure
    spans_h: tuple[float, ...] = (1.0, 6.0)  # a burst, and a swell that no single hour shows
    warm_up_d: float = 2.0  # nothing fires before: a day's profile is known once it has been seen twice
    cool_down_h: float = 24.0  # one alarm a day and series
    counts: bool = True  # whole numbers, whose spread is at least that of a Poisson process; else no floor is known

    def fresh(self, series: int, seen: float = 0) -> Floats:
        """The state of series that were zero in `seen` buckets before: a topic is new, its silence was observed."""
        states = np.zeros((self.fields, series), np.float32)
        states[_SEEN], states[_SINCE] = seen, np.inf
        return states

    def step(
        self, states: Floats, values: NDArray[np.floating], bucket: int, may_fire: NDArray[np.bool_] | bool = True
    ) -> tuple[Floats, Scores]:
        """The next bucket of every series: `bucket` counts steps from 1970, `values` is (series,).

        `may_fire`, (series,), holds alarms back that are not to begin a cool-down either.
        """
        after = states.copy()
        recent = after[self._recent :]
        recent[:-1] = states[self._recent + 1 :]
        recent[-1] = values
        after[_SEEN] += 1
        after[_SINCE] += 1
        strength = self._strength(after, bucket)
        fired = (strength >= 1) & may_fire & (after[_SINCE] >= self._buckets(self.cool_down_h))
        after[_SINCE][fired] = 0
        self._learn(after, bucket - self._gap)
        return after, Scores(strength, fired)

    def _strength(self, states: Floats, bucket: int) -> Floats:
        best = np.zeros(states.shape[1], np.float32)
        for number, span in enumerate(self._spans):
            excess, expected = self._excess(states, bucket, span, ago=0)
            spread = np.sqrt(states[_PROFILE + HOURS + number])
            floor = np.maximum(np.sqrt(expected), 1) if self.counts else np.float32(1e-9)
            np.maximum(best, excess / np.maximum(spread, floor), out=best)
        best[states[_SEEN] <= self._buckets(self.warm_up_d * HOURS)] = 0
        return best / np.float32(self.threshold)

    def _excess(self, states: Floats, bucket: int, span: int, ago: int) -> tuple[Floats, Floats]:
        """What `span` buckets up to `bucket`, `ago` before the last, had beyond what was expected; and that."""
        end = self.fields - ago
        expected = states[_MEAN] * np.float32(span)
        for slot, count in _slots(bucket, span, self.step_s):
            expected += states[_PROFILE + slot] * np.float32(count)
        if self.counts:
            np.maximum(expected, 0, out=expected)
        return states[end - span : end].sum(axis=0) - expected, expected

    def _learn(self, states: Floats, bucket: int) -> None:
        """From the bucket that is no longer fresh."""
        seen = states[_SEEN]
        for number, span in enumerate(self._spans):
            excess, _ = self._excess(states, bucket, span, ago=self._gap)
            spread = states[_PROFILE + HOURS + number]
            spread += self._gain(seen - (self.fields - self._recent)) * (excess * excess - spread)
        value = states[self.fields - 1 - self._gap]
        profile = states[_PROFILE + _slot(bucket, self.step_s)]
        off = value - states[_MEAN] - profile
        states[_MEAN] += self._gain(seen - self._gap) * (value - states[_MEAN])
        # Each slot is seen once a day, so what it learns at once is so much more; it starts from no profile at all.
        profile += np.where(seen > self._gap, np.float32(min(1.0, self._rate * self._slots_a_day)), 0) * off

    def _gain(self, learned: Floats) -> Floats:
        """The weight of what is new: that of a plain average until the memory is full, none before there is any."""
        return np.where(learned > 0, np.maximum(np.float32(self._rate), 1 / np.maximum(learned, 1)), np.float32(0))

    def _buckets(self, hours: float) -> int:
        """A bucket longer than an hour stands for one: to know a series takes buckets as well as time."""
        return max(1, round(hours * 3600 / min(self.step_s, 3600)))

    @cached_property
    def _spans(self) -> tuple[int, ...]:
        return tuple(sorted({self._buckets(hours) for hours in self.spans_h}))

    @cached_property
    def _gap(self) -> int:
        return self._buckets(self.gap_h)

    @cached_property
    def _rate(self) -> float:
        return min(self.step_s, 3600) / (self.memory_d * DAY_S)

    @cached_property
    def _slots_a_day(self) -> float:
        """How many slots of the profile the buckets of a day fall into."""
        return min(HOURS, max(1.0, DAY_S / self.step_s))

    @cached_property
    def _recent(self) -> int:
        """The first row of the last values."""
        return _PROFILE + HOURS + len(self._spans)

    @cached_property
    def fields(self) -> int:
        """Numbers in one state."""
        return self._recent + self._gap + self._spans[-1]

    @property
    def state_bytes(self) -> int:
        """Of one state at rest."""
        return self.fields * _STATE.itemsize


def _slot(bucket: int, step_s: int) -> int:
    """The hour of the day, UTC, in which a bucket begins."""
    return bucket * step_s // 3600 % HOURS


@lru_cache(4096)
def _slots(bucket: int, span: int, step_s: int) -> tuple[tuple[int, int], ...]:
    """(hour of the day, how many) of the `span` buckets up to `bucket`, hour by hour."""
    found: Counter[int] = Counter()
    start = bucket - span + 1
    while start <= bucket:
        following = -(-(start * step_s // 3600 + 1) * 3600 // step_s)  # the first bucket that begins in a later hour
        found[_slot(start, step_s)] += min(following, bucket + 1) - start
        start = following
    return tuple(found.items())


def pack(states: Floats) -> list[bytes]:
    """Each series' state, to be stored."""
    return [row.tobytes() for row in np.ascontiguousarray(states.T, _STATE)]


def unpack(rows: list[bytes], fields: int) -> Floats:
    """What `pack` made. Raises ValueError if a row is of another size: it was written with other parameters."""
    if any(len(row) != fields * _STATE.itemsize for row in rows):
        raise ValueError(f"a detector's state should have {fields} numbers")
    return np.ascontiguousarray(np.frombuffer(b"".join(rows), _STATE).reshape(-1, fields).T, np.float32)
