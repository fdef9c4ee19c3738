"""Texts and tags as sparse vectors, and how near they are to each other."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from huntaze.pipelines.trends.topics import canonical, hashtag_topic

Vector = dict[str, float]  # {term: weight}, of length 1 or empty; a tag's term begins with #

_SATURATION = 1.2  # k1 of BM25: a word said ten times says little more than one said three times
_WORD = re.compile(r"[^\W\d_][\w'’]+")
_COMMON = """
    about after again all also and any are because been before being but can could did does doing don't down each
    for from get got had has have having her here him his how into its it's just like made make more most new not now
    off one only our out over own same she should some such than that the their them then there these they this those
    through too two under until very video was were what when where which while who why will with would you your
    i'm sandbox
"""
_SAYING_NOTHING = frozenset(_COMMON.split())


def words_of(text: str) -> list[str]:
    """The words that say something, canonical, in order."""
    found = (word.group() for word in _WORD.finditer(canonical(text)))
    return [word for word in found if len(word) > 2 and word not in _SAYING_NOTHING]


def tags_of(tags: Iterable[str]) -> list[str]:
    """Canonical names of those that say something, each once. Words of analyses are written as tags are: in one."""
    found = (hashtag_topic(tag.replace(" ", "")) for tag in tags)
    return list(dict.fromkeys(topic.name for topic in found if topic))


def counted(text: str, tags: Mapping[str, float]) -> dict[str, float]:
    """Terms of a document: its words, and its tags twice as loud. `tags`: {canonical name: weight}."""
    terms: defaultdict[str, float] = defaultdict(float, Counter(words_of(text)))
    for tag, weight in tags.items():
        terms[f"#{tag}"] += 2 * weight
        terms[tag] += weight
    return dict(terms)


class Rarity:
    """How telling a term is: the inverse document frequency of BM25 (Robertson and Zaragoza 2009, section 3.4)."""

    def __init__(self, documents: Iterable[Iterable[str]]) -> None:
        self._count, self._in = 0, Counter[str]()
        for document in documents:
            self._count += 1
            self._in.update(set(document))

    def of(self, term: str) -> float:
        """Above 0; the highest for a term of no document."""
        inside = self._in[term]
        return math.log1p((self._count - inside + 0.5) / (inside + 0.5))

    def vector(self, terms: Mapping[str, float]) -> Vector:
        """Saturated counts x rarity, of length 1; empty for no terms."""
        weights = {term: n / (n + _SATURATION) * self.of(term) for term, n in terms.items() if n > 0}
        return unit(weights)


def unit(weights: Mapping[str, float]) -> Vector:
    """The same direction, of length 1."""
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {term: weight / length for term, weight in weights.items()} if length else {}


def cosine(one: Vector, other: Vector) -> float:
    """0..1 for vectors without negative weights."""
    if len(other) < len(one):
        one, other = other, one
    return min(1.0, sum(weight * other[term] for term, weight in one.items() if term in other))
