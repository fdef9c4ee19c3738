"""How good lists of recommendations were, against what creators then took up.

nDCG: Järvelin and Kekäläinen 2002.
"""

import math
from collections.abc import Collection, Hashable, Sequence
from itertools import combinations
from typing import TypeVar

from huntaze.pipelines.recommend.words import Vector, cosine

Id = TypeVar("Id", bound=Hashable)


def ndcg(shown: Sequence[Id], taken: Collection[Id], at: int = 10) -> float:
    """0..1: gains of 1 for what was taken, discounted by place, against the best order. 0 if nothing was taken."""
    gained = sum(1 / math.log2(place + 2) for place, one in enumerate(shown[:at]) if one in taken)
    best = sum(1 / math.log2(place + 2) for place in range(min(at, len(taken))))
    return gained / best if best else 0.0


def recall(shown: Sequence[Id], taken: Collection[Id], at: int = 10) -> float:
    """The share of what was taken that was among the first `at`."""
    return len(set(shown[:at]) & set(taken)) / len(taken) if taken else 0.0


def coverage(lists: Sequence[Sequence[Id]], catalogue: int, at: int = 10) -> float:
    """The share of all candidates that at least one creator was shown."""
    return len({one for shown in lists for one in shown[:at]}) / catalogue if catalogue else 0.0


def diversity(vectors: Sequence[Vector]) -> float:
    """1 less the mean likeness of two of a list; 1 for a list of one."""
    pairs = list(combinations(vectors, 2))
    return 1 - sum(cosine(*pair) for pair in pairs) / len(pairs) if pairs else 1.0
