"""Distinct persons and percentiles: exact while there are few, a sketch of bounded size and error for many.

Whatever is kept is a function of the set of persons, or of the values with their repeats, and of nothing else: neither
the order in which they came nor how they were merged changes a byte. That is why there is no KLL or HLL here: KLL and
REQ flip coins that cannot be seeded from Python, and HLL keeps an estimate of its history.

Persons: the 4,096 smallest hashes (a theta sketch; Dasgupta et al., "A Framework for Estimating Stream Expression
Cardinalities", 2016), exact up to as many persons, a relative standard error of 1/sqrt(4096) = 1.6 % beyond; two
sketches can be united, intersected and subtracted. Values: counts in cells no wider than 2 %, so that a percentile is
off by 1 % at most, however often it was merged (as in DDSketch; Masson et al., VLDB 2019).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from datasketches import compact_theta_sketch, theta_a_not_b, theta_union, update_theta_sketch
from numpy.typing import NDArray

from huntaze.pipelines.analytics.facts import MOST_VALUE

EXACT = 256  # persons, or values, that stand in a row as they are
LG_K = 12  # 2^12 hashes: 32 KiB at most
RELATIVE_ERROR = 0.01  # of a percentile of many values
_DEVIATIONS = 2  # that an estimate's bounds are away: 95 %
_CELLS = np.dtype([("cell", "<u2"), ("count", "<u8")])


@dataclass(frozen=True)
class Held:
    """What a row keeps: sorted whole numbers while they are few, else a sketch; both None: of nothing."""

    exact: list[int] | None = None
    sketch: bytes | None = None


@dataclass(frozen=True)
class Estimate:
    """A number of persons, with bounds that hold in 95 of 100 cases; equal where it was counted."""

    persons: int
    low: int
    high: int


def unite_persons(held: Iterable[Held]) -> Held:
    """The persons of any of them, each once. Merging what was merged gives the same as merging all at once."""
    parts = list(held)
    sketches = [part.sketch for part in parts if part.sketch is not None]
    persons = {person for part in parts for person in part.exact or ()}
    if not sketches and len(persons) <= EXACT:
        return Held(sorted(persons)) if persons else Held()
    union = theta_union(LG_K)
    union.update(_sketched(persons))
    for sketch in sketches:
        union.update(compact_theta_sketch.deserialize(sketch))
    return Held(sketch=union.get_result(True).serialize())


def _sketched(persons: Iterable[int]) -> compact_theta_sketch:
    sketch = update_theta_sketch(LG_K)
    for person in persons:
        sketch.update(person)
    return sketch.compact(True)


def count_persons(held: Held) -> Estimate:
    """How many persons there are."""
    if held.sketch is None:
        count = len(held.exact or ())
        return Estimate(count, count, count)
    sketch = compact_theta_sketch.deserialize(held.sketch)
    bounds = (sketch.get_estimate(), sketch.get_lower_bound(_DEVIATIONS), sketch.get_upper_bound(_DEVIATIONS))
    return Estimate(*(round(bound) for bound in bounds))


def without_person(held: Held, person: int) -> Held:
    """The same without one person, who cannot be found in what is left."""
    if held.sketch is None:
        left = [one for one in held.exact or () if one != person]
        return Held(left) if left else Held()
    kept = theta_a_not_b().compute(compact_theta_sketch.deserialize(held.sketch), _sketched([person]))
    return Held(sketch=kept.serialize())


def merge_values(held: Iterable[Held]) -> Held:
    """All values of all of them, repeats included."""
    parts = list(held)
    values = sorted(value for part in parts for value in part.exact or ())
    sketches = [part.sketch for part in parts if part.sketch is not None]
    if not sketches and len(values) <= EXACT:
        return Held(values) if values else Held()
    counts = np.zeros(len(_bounds()), np.uint64)
    cells, repeats = np.unique(_cells_of(np.array(values, np.int64)), return_counts=True)
    counts[cells] += repeats.astype(np.uint64)
    for sketch in sketches:
        read = np.frombuffer(sketch, _CELLS)
        counts[read["cell"]] += read["count"]
    filled = np.flatnonzero(counts)
    written = np.empty(len(filled), _CELLS)
    written["cell"], written["count"] = filled, counts[filled]
    return Held(sketch=written.tobytes())


def percentile(held: Held, share: float) -> float | None:
    """The smallest value that at least `share` (0..1) of the values do not exceed (nearest rank); None: no values.

    Of many values it is off by RELATIVE_ERROR of itself at most.
    """
    if held.sketch is None:
        return None if not held.exact else float(held.exact[_rank(len(held.exact), share)])
    read: NDArray[Any] = np.frombuffer(held.sketch, _CELLS)
    upto = np.cumsum(read["count"])
    place = int(np.searchsorted(upto, _rank(int(upto[-1]), share), side="right"))
    cell = int(read["cell"][place])
    low, high = int(_bounds()[cell]), int(_bounds()[cell + 1]) - 1
    return (low + high) / 2


def _rank(count: int, share: float) -> int:
    return min(max(-int(-share * count // 1) - 1, 0), count - 1)


@cache
def _bounds() -> NDArray[np.int64]:
    """The lower bounds of all cells, whole numbers made by whole numbers: no machine rounds them otherwise."""
    bounds = [0]
    while bounds[-1] <= MOST_VALUE:
        bounds.append(max(bounds[-1] + 1, bounds[-1] * 102 // 100))
    return np.array(bounds, np.int64)


def _cells_of(values: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(_bounds(), values, side="right") - 1
