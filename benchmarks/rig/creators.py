"""Made-up creators with known interests, and trends that they take up later: what recommendations are judged by.

The creators are of the kind that the recommender believes in, so the figures say that it finds what is there to be
found, and how far from chance and popularity that is; they say nothing of real people.
"""

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from huntaze.pipelines.recommend.interests import Work
from huntaze.pipelines.recommend.rank import Candidate

SPLIT = datetime(2026, 11, 1, tzinfo=UTC)  # works before it are known, what is taken up after it is to be foretold
THEMES, WORDS, COMMON = 40, 60, 300
_NOISE = 0.4  # of a text's words are anybody's


@dataclass(frozen=True)
class World:
    """`theme`: of each trend; `interests`: of each creator, {theme: share}."""

    candidates: list[Candidate]
    theme: dict[uuid.UUID, int]
    works: list[list[Work]]
    taken: list[set[uuid.UUID]]


def build_world(trends: int, creators: int, seed: int = 1) -> World:
    """The same for the same seed."""
    chance = random.Random(seed)
    candidates, theme = [], {}
    for _ in range(trends):
        about = chance.randrange(THEMES)
        made = _trend(chance, about)
        candidates.append(made)
        theme[made.id] = about
    people = [_creator(chance, candidates, theme) for _ in range(creators)]
    return World(candidates, theme, [works for works, _ in people], [taken for _, taken in people])


def _words(chance: random.Random, about: int, count: int) -> str:
    """A theme's words follow Zipf's law; themes share a third of them with their neighbour."""
    found = []
    for _ in range(count):
        if chance.random() < _NOISE:
            found.append(f"common{_letters(chance.randrange(COMMON))}")
        else:
            word = min(WORDS - 1, int(chance.paretovariate(0.8)) - 1)
            found.append(f"word{_letters(about * WORDS * 2 // 3 + word)}")
    return " ".join(found)


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _tags(chance: random.Random, about: int, count: int) -> list[str]:
    return [f"tag{_letters(about * 12 + min(11, int(chance.paretovariate(0.9)) - 1))}" for _ in range(count)]


def _trend(chance: random.Random, about: int) -> Candidate:
    name = f"trend{_letters(chance.randrange(10**9))}"
    began = SPLIT - timedelta(hours=chance.uniform(0, 72))
    return Candidate(
        id=uuid.UUID(int=chance.getrandbits(128)),
        name=name,
        text=f"{name} {_words(chance, about, 30)}",
        tags={name: 1.0} | {tag: chance.uniform(0.1, 0.9) for tag in _tags(chance, about, 3)},
        strength=chance.paretovariate(1.5),
        confidence=chance.uniform(0.5, 1),
        started_at=began,
        peak_at=min(SPLIT, began + timedelta(hours=chance.expovariate(1 / 8))),
    )


def _creator(
    chance: random.Random, candidates: list[Candidate], theme: dict[uuid.UUID, int]
) -> tuple[list[Work], set[uuid.UUID]]:
    """Two themes of one's own, of unequal weight. Ten trends are taken up: of the own themes nine times in ten, the
    stronger and the fresher rather than others."""
    themes = chance.sample(range(THEMES), 2)
    works = []
    for _ in range(chance.randrange(5, 30)):
        about = themes[0] if chance.random() < 0.7 else themes[1]
        at = SPLIT - timedelta(days=chance.uniform(0.1, 90))
        works.append(Work(_words(chance, about, 20), _tags(chance, about, 4), at))
    weights = [_appeal(one, theme[one.id], themes) for one in candidates]
    return works, {one.id for one in chance.choices(candidates, weights, k=10)}


def _appeal(one: Candidate, about: int, themes: list[int]) -> float:
    fresh = 0.5 ** ((SPLIT - one.peak_at) / timedelta(hours=24))
    liking = 0.6 if about == themes[0] else 0.3 if about == themes[1] else 0.1 / (THEMES / 2)
    return liking * float(fresh) * one.strength / (one.strength + 1)
