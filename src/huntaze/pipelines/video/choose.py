"""Which of the pictures that were looked at fill the cells. Pure: arrays in, positions out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from huntaze.pipelines.video.score import Bools, Floats

Cuts = NDArray[np.float64]

DIFFERENT = 0.25  # of `score.distances`: from here on two neighbours may be two shots, at twice of it they are
_TIME = 0.3  # what being a whole cell's length apart is worth, in the unit of `score.distances`
_SHOT = 0.4  # and what a cut in between is


def choose(times: Sequence[float], quality: Floats, distances: Floats, good: Bools, count: int) -> list[int]:
    """Positions of min(count, n) pictures, distinct, ascending in time.

    Farthest point first: the best picture, then again and again the one with the most quality x distance to what is
    chosen (Gonzalez 1985, weighted). Distance is how they differ, how far apart they are in time, and whether there is
    a cut between them, so that a shot that comes again counts again. Pictures that are not good come only where the
    good ones do not fill the cells.

    times: seconds, (n,), in any order. quality: (n,). distances: (n, n). good: (n,).
    """
    when = np.asarray(times, dtype=np.float64)
    span = max(float(np.ptp(when)), 1e-9) if len(when) else 1.0
    order = np.argsort(when, kind="stable")
    story = np.empty(len(when))
    story[order] = _story(distances[np.ix_(order, order)])
    apart = np.minimum(np.abs(when[:, None] - when[None]) * count / span, 1.0)
    gain = distances + _TIME * apart + _SHOT * np.minimum(np.abs(story[:, None] - story[None]), 1.0)
    chosen: list[int] = []
    for allowed in (np.flatnonzero(good), np.flatnonzero(~good)):
        _extend(chosen, allowed, 0.5 + 0.5 * quality, gain, count)
    return sorted(chosen, key=lambda at: (when[at], at))


def shots(distances: Floats) -> int:
    """About how many shots pictures in order of time, (n, n), come from."""
    return 1 + int(_story(distances)[-1]) if len(distances) else 0


def _story(distances: Floats) -> Cuts:
    """(n,), ascending from 0: how many cuts there were by then, doubtful ones counted in part."""
    steps = np.clip(np.diagonal(distances, 1) / DIFFERENT - 1.0, 0.0, 1.0)
    return np.asarray(np.concatenate([np.zeros(min(1, len(distances))), np.cumsum(steps)]), dtype=np.float64)


def _extend(chosen: list[int], allowed: NDArray[np.intp], worth: Floats, gain: Cuts, count: int) -> None:
    left = set(allowed.tolist())
    while left and len(chosen) < count:
        rest = sorted(left)
        nearest = gain[np.ix_(rest, chosen)].min(axis=1) if chosen else np.ones(len(rest))
        best = rest[int(np.argmax(worth[rest] * nearest))]
        chosen.append(best)
        left.discard(best)


def cells_for(duration_s: float | None) -> int:
    """2x2 under ten seconds, 4x4 from ten minutes on, 3x3 else and where nobody knows."""
    if duration_s is None:
        return 9
    return 4 if duration_s < 10.0 else 16 if duration_s >= 600.0 else 9
