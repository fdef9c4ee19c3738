"""The life of a trend, read off its hourly values: emerging, peaking, fading, over."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

SMOOTH_H = 6  # hours of a level: a trend does not turn within one
HALF_LIFE_H = 12.0  # of rank, from the peak on
FLOOR_POSTS = 5  # of the last hours, for an alarm to be a trend
FLOOR_AUTHORS = 3  # distinct: one account that posts all day is none
_CLIMBING_H = 3  # hours without a new high after which it is no longer on its way up
_FADING = 0.5  # of the highest level
_OVER = 0.1
_QUIET_H = 12  # hours at the level of the end: a night is no end


class TrendState(StrEnum):
    """Where a trend stands. It moves forward, and back only by a new high; over is final."""

    EMERGING = "emerging"  # still making new highs
    PEAKING = "peaking"  # no new high for some hours, and not yet below half of the highest
    FADING = "fading"  # below half
    OVER = "over"  # half a day at a tenth or less


@dataclass(frozen=True)
class Life:
    """Levels are posts an hour in samples of the typical size, averaged over `SMOOTH_H` hours. Hours count from the
    alarm, which is 0."""

    state: TrendState
    level: float  # now
    peak: float  # the highest level since the alarm
    peak_h: int  # its hour
    velocity: float  # change of the level, posts an hour each hour, over the last `SMOOTH_H`

    @property
    def lead_h(self) -> int | None:
        """Hours that the alarm was ahead of the peak; None while it may still be ahead."""
        return None if self.state == TrendState.EMERGING else self.peak_h


def live(values: Sequence[float], alarm: int) -> Life:
    """The life so far of a trend whose alarm is `values[alarm]`; values are hourly, the last is now.

    Raises ValueError if the alarm is not among them.
    """
    if not 0 <= alarm < len(values):
        raise ValueError("the alarm is not within the values")
    levels = _levels(values)
    since = levels[alarm:]
    peak = max(since)
    peak_h = since.index(peak)
    earlier = levels[-1 - SMOOTH_H] if len(levels) > SMOOTH_H else 0.0
    return Life(_state(since), since[-1], peak, peak_h, (since[-1] - earlier) / SMOOTH_H)


def _levels(values: Sequence[float]) -> list[float]:
    sums = [0.0, *accumulate(values)]
    return [(sums[end] - sums[max(0, end - SMOOTH_H)]) / SMOOTH_H for end in range(1, len(sums))]


def _state(levels: Sequence[float]) -> TrendState:
    """Of the levels since the alarm. Each hour is compared with the highest level up to it."""
    highs = list(accumulate(levels, max))
    quiet = 0
    for level, high in zip(levels, highs, strict=True):
        quiet = quiet + 1 if level <= _OVER * high else 0
        if quiet >= _QUIET_H:
            return TrendState.OVER
    if len(highs) <= _CLIMBING_H or highs[-1] > highs[-1 - _CLIMBING_H]:
        return TrendState.EMERGING
    return TrendState.FADING if levels[-1] < _FADING * highs[-1] else TrendState.PEAKING


def confidence(deviations: float, posts: int, authors: int) -> float:
    """0..1: how sure it is that this is no chance, and no single voice.

    Cantelli's inequality bounds the chance that anything, however it is distributed, lies `deviations` standard
    deviations above its mean: 1 / (1 + d²). It is lowered where there are fewer authors than half the posts.
    """
    if deviations <= 0 or posts <= 0:
        return 0.0
    surprise = 1 - 1 / (1 + deviations * deviations)
    return surprise * min(1.0, 2 * authors / posts)


def rank(strength: float, hours_since_peak: float) -> float:
    """What lists are ordered by: strength at its peak, halved every `HALF_LIFE_H` since."""
    return strength * math.exp2(-max(0.0, hours_since_peak) / HALF_LIFE_H)
