"""Which trends a creator is shown, in which order, and why: pure, and the same for the same chance."""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from huntaze.pipelines.recommend.interests import Interests
from huntaze.pipelines.recommend.words import Rarity, Vector, cosine, counted, words_of

SLOTS = 20
LAMBDA = 0.7  # of MMR (Carbonell and Goldstein 1998): what a slot gives to relevance, the rest goes to variety
EXPLORED = 10  # one slot in so many
HALF_LIFE_H = 24.0  # of freshness, from the peak on: to make something takes a day
POOL = 200  # best candidates that MMR looks at
_TEXT, _TAGS = 0.6, 0.4  # shares of relevance
_FLOOR = 0.02  # relevance of what has nothing in common: without any interest known, the strongest come first
_DISLIKED = 0.8  # what likeness to a dismissed trend takes away, at most
_SHOWN_TERMS = 5


@dataclass(frozen=True)
class Candidate:
    """A trend. `tags`: {canonical tag: share of its posts}, 1 for its own; `text`: its name and what its posts say."""

    id: uuid.UUID
    name: str
    text: str
    tags: Mapping[str, float]
    strength: float  # 1.0 is the detector's threshold
    confidence: float  # 0..1
    started_at: datetime
    peak_at: datetime

    @cached_property
    def terms(self) -> dict[str, float]:
        return counted(self.text, self.tags)


@dataclass(frozen=True)
class Scored:
    """A candidate's worth to one creator; all in 0..1, `score` is the product of the other three."""

    candidate: Candidate
    relevance: float
    strength: float
    freshness: float
    terms: tuple[str, ...]  # what creator and trend have in common, the heaviest first

    @property
    def score(self) -> float:
        return self.relevance * self.strength * self.freshness


@dataclass(frozen=True)
class Pick:
    """A slot. `propensity`: the chance that this trend had to be in the set, 1 for what was chosen by worth: with it,
    what is learned from feedback can be weighed (inverse propensity scoring)."""

    scored: Scored
    explored: bool
    propensity: float


@dataclass(frozen=True)
class Trends:
    """The candidates of a round, as all creators share them."""

    candidates: Sequence[Candidate]
    rarity: Rarity = field(init=False)
    vectors: dict[uuid.UUID, Vector] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rarity", Rarity(one.terms for one in self.candidates))

    def vector(self, one: Candidate) -> Vector:
        """Made when it is first asked for: most trends are about nothing that one creator speaks of."""
        if one.id not in self.vectors:
            self.vectors[one.id] = self.rarity.vector(one.terms)
        return self.vectors[one.id]


def recommend(
    trends: Trends, interests: Interests, now: datetime, chance: random.Random, slots: int = SLOTS
) -> list[Pick]:
    """At most `slots`, the best first, those that explore last. Trends that were answered, or that the creator has made
    something of since they began, are left out."""
    left = [one for one in trends.candidates if one.id not in interests.answered and not _done(one, interests)]
    ranked = sorted(
        (score(trends, one, interests, now) for one in left), key=lambda one: (-one.score, one.candidate.id)
    )
    exploring = min(slots // EXPLORED, max(0, len(ranked) - slots))
    best = diversify(trends, ranked[:POOL], slots - exploring)
    taken = {one.candidate.id for one in best}
    rest = [one for one in ranked if one.candidate.id not in taken]
    return [Pick(one, False, 1.0) for one in best] + explore(rest, exploring, chance)


def score(trends: Trends, one: Candidate, interests: Interests, now: datetime) -> Scored:
    """Relevance x strength x freshness."""
    likes = interests.likes
    common = [term for term in one.terms if term in likes]
    relevance, shown = _FLOOR, tuple[str, ...]()
    if common:
        vector = trends.vector(one)
        weights = {term: likes[term] * vector[term] for term in common}
        overlap = max((share * interests.tags.get(tag, 0.0) for tag, share in one.tags.items()), default=0.0)
        relevance += (1 - _FLOOR) * (_TEXT * min(1.0, sum(weights.values())) + _TAGS * overlap)
        heaviest = sorted(weights, key=lambda term: (-weights[term], term))
        shown = tuple(dict.fromkeys(term.lstrip("#") for term in heaviest))[:_SHOWN_TERMS]
    if interests.dislikes:
        vector = trends.vector(one)
        relevance *= 1 - _DISLIKED * max(cosine(vector, disliked) for disliked in interests.dislikes)
    strength = one.confidence * one.strength / (one.strength + 1)
    since_peak_h = max(0.0, (now - one.peak_at).total_seconds() / 3600)
    return Scored(one, relevance, strength, 0.5 ** (since_peak_h / HALF_LIFE_H), shown)


def _done(one: Candidate, interests: Interests) -> bool:
    """Whether a work made since the trend began is about it."""
    own = {tag for tag, share in one.tags.items() if share >= 1}
    phrase = " ".join(words_of(one.name))
    for at, tags, text in interests.works:
        if at >= one.started_at and (own & tags or (phrase and f" {phrase} " in f" {text} ")):
            return True
    return False


def diversify(trends: Trends, ranked: Sequence[Scored], most: int) -> list[Scored]:
    """Maximal marginal relevance: each next one by its score less its likeness to what is already there."""
    if not ranked or most <= 0:
        return []
    top = ranked[0].score or 1.0
    likeness = dict.fromkeys(range(len(ranked)), 0.0)
    chosen: list[Scored] = []
    while likeness and len(chosen) < most:
        best = max(likeness, key=lambda at: (LAMBDA * ranked[at].score / top - (1 - LAMBDA) * likeness[at], -at))
        del likeness[best]
        chosen.append(ranked[best])
        vector = trends.vector(ranked[best].candidate)
        for at in likeness:
            likeness[at] = max(likeness[at], cosine(vector, trends.vector(ranked[at].candidate)))
    return chosen


def explore(rest: Sequence[Scored], count: int, chance: random.Random) -> list[Pick]:
    """`count` of the others by chance, stronger and fresher ones rather than weak ones, none without a chance.

    Systematic sampling (Madow 1949): exactly `count`, and each in with exactly its propensity.
    """
    if count <= 0 or not rest:
        return []
    chances = inclusion([one.strength * one.freshness for one in rest], count)
    point, reached, picks = chance.random(), 0.0, list[Pick]()
    for one, share in zip(rest, chances, strict=True):
        reached += share
        if point < reached - 1e-12 and len(picks) < count:
            picks.append(Pick(one, True, share))
            point += 1
    return picks


def inclusion(weights: Sequence[float], count: int) -> list[float]:
    """Chances of being among `count`, half by weight and half alike, none above 1; they add up to `count`, or to all
    where there are no more. Raises ValueError for a weight below 0."""
    if any(weight < 0 for weight in weights):
        raise ValueError("a weight is below 0")
    if count >= len(weights):
        return [1.0] * len(weights)
    total = sum(weights)
    mixed = [0.5 / len(weights) + (0.5 * weight / total if total else 0.5 / len(weights)) for weight in weights]
    sure: set[int] = set()
    while True:
        open_sum = sum(share for at, share in enumerate(mixed) if at not in sure)
        factor = (count - len(sure)) / open_sum
        over = {at for at, share in enumerate(mixed) if at not in sure and share * factor > 1}
        if not over:
            return [1.0 if at in sure else share * factor for at, share in enumerate(mixed)]
        sure |= over
