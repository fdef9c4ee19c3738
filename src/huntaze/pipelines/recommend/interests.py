"""What a creator makes, likes and does not like, out of own work and of what was said to earlier recommendations."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from huntaze.pipelines.recommend.words import Rarity, Vector, counted, tags_of, unit, words_of

HALF_LIFE = timedelta(days=60)  # of what a work says: interests drift
TAGS_MOST = 200  # by which trends are looked for
_USED = 2.0  # a trend that was taken up says as much as two works


@dataclass(frozen=True)
class Work:
    """A piece of the creator's own: its name and analysis in `text`, `tags` as they were written."""

    text: str
    tags: Sequence[str]
    at: datetime


@dataclass(frozen=True)
class Said:
    """An earlier recommendation that the creator used or dismissed."""

    trend_id: uuid.UUID
    used: bool
    text: str
    tags: Sequence[str]
    at: datetime


@dataclass(frozen=True)
class Interests:
    """`likes` may be empty: nothing is known yet. `tags`: {tag: 0..1}, 1 for the most usual one."""

    likes: Vector = field(default_factory=dict)
    tags: dict[str, float] = field(default_factory=dict)
    dislikes: tuple[Vector, ...] = ()
    answered: frozenset[uuid.UUID] = frozenset()
    works: tuple[tuple[datetime, frozenset[str], str], ...] = ()  # (made at, tags, its words)


def liked_tags(works: Sequence[Work], said: Sequence[Said]) -> list[str]:
    """Canonical tags of own work and of trends that were used, the most usual first."""
    counts = Counter(tag for one in works for tag in tags_of(one.tags))
    counts.update(tag for one in said if one.used for tag in tags_of(one.tags))
    return [tag for tag, _ in counts.most_common(TAGS_MOST)]


def learn(works: Sequence[Work], said: Sequence[Said], now: datetime, rarity: Rarity) -> Interests:
    """Interests as of `now`; what came later is not looked at."""
    works, said = [one for one in works if one.at <= now], [one for one in said if one.at <= now]
    liked: defaultdict[str, float] = defaultdict(float)
    tags: defaultdict[str, float] = defaultdict(float)
    told = [(one, 1.0) for one in works] + [(one, _USED) for one in said if one.used]
    for one, says in told:
        names = tags_of(one.tags)
        weight = says * 0.5 ** ((now - one.at) / HALF_LIFE)
        for term, value in rarity.vector(counted(one.text, dict.fromkeys(names, 1.0))).items():
            liked[term] += weight * value
        for name in names:
            tags[name] += weight
    most = max(tags.values(), default=1.0)
    return Interests(
        likes=unit(liked),
        tags={name: weight / most for name, weight in tags.items()},
        dislikes=tuple(_vector(one, rarity) for one in said if not one.used),
        answered=frozenset(one.trend_id for one in said),
        works=tuple((one.at, frozenset(tags_of(one.tags)), " ".join(words_of(one.text))) for one in works),
    )


def _vector(one: Said, rarity: Rarity) -> Vector:
    return rarity.vector(counted(one.text, dict.fromkeys(tags_of(one.tags), 1.0)))
