"""From posts to hourly counts: by the hour in which a post was made, and as shares of what was scraped.

A scraper returns a sample. How large it is says more of the scraper than of the world, so a topic's count is read as
its share of the sample of that hour; and only within one frame: one source under one cap. Another cap is another frame.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from huntaze.pipelines.trends.topics import Topic, TopicKind, named_topics, phrases, telling, weigh

HOUR_S = 3600
LEAST_SAMPLE = 20  # posts of an hour below which its shares say nothing: the hour is unknown, which is not zero
LEAST_AUTHORS = 2  # of a topic that is new to a frame; one author alone starts nothing
PHRASES = 50  # that an hour may bring in, by weight
_PHRASE_POSTS = 3  # of an hour, for a phrase to be weighed
CONTEXT_H = 24  # hours before the first: what phrases are weighed against
TRAIL_H = 6  # hours over which posts and authors are counted against the floors


class Sighting(NamedTuple):
    """What detection reads of a post. `author`: a keyed hash; None: not told."""

    post_id: uuid.UUID
    platform: str
    created_at: datetime
    author: bytes | None
    text: str
    hashtags: Sequence[str]
    sound_id: str | None


def hour_of(moment: datetime) -> int:
    """The bucket of a moment: hours since 1970."""
    return int(moment.timestamp()) // HOUR_S


def moment_of(hour: int) -> datetime:
    """When a bucket begins."""
    return datetime.fromtimestamp(hour * HOUR_S, UTC)


def standardised(posts: int, sample: int, typical: float) -> float:
    """What a count would be in a sample of the typical size; a small sample is scaled up twofold at most.

    So it stays a count, with a count's noise, and the share of a thin hour is not taken for more than it is.
    """
    return posts * typical / max(sample, typical / 2)


@dataclass
class Tally:
    """Of one frame and a run of hours: what was sampled, and who spoke of what."""

    first: int  # the first hour that is asked for; what is before it is context
    until: int  # the hour after the last
    sample: Counter[int] = field(default_factory=Counter)  # {hour: posts}
    _authors: defaultdict[Topic, defaultdict[int, Counter[bytes]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )

    def add(self, post: Sighting, topics: Iterable[Topic]) -> None:
        """Counts a post."""
        hour = hour_of(post.created_at)
        self.sample[hour] += 1
        for topic in topics:
            self.count(topic, hour, [post.author or b""])

    def count(self, topic: Topic, hour: int, authors: Iterable[bytes]) -> None:
        """Counts posts of a topic, one an author named; the sample is not touched."""
        self._authors[topic][hour].update(authors)

    @property
    def hours(self) -> range:
        return range(self.first, self.until)

    @cached_property
    def known(self) -> list[int]:
        """The hours asked for whose sample says something."""
        return [hour for hour in self.hours if self.sample[hour] >= LEAST_SAMPLE]

    def active(self) -> list[Topic]:
        """Topics with posts in the hours asked for, in a fixed order."""
        return sorted(topic for topic, hours in self._authors.items() if any(hour in hours for hour in self.known))

    def posts(self, topic: Topic, hour: int) -> int:
        """Posts of a topic that was counted."""
        hours = self._authors[topic]
        return hours[hour].total() if hour in hours else 0

    def authors(self, topic: Topic, hour: int) -> int:
        """Distinct authors; what names none is one of them."""
        hours = self._authors[topic]
        return len(hours[hour]) if hour in hours else 0

    def trail(self, topic: Topic, hour: int) -> tuple[int, int]:
        """(posts, distinct authors) of the hours up to this one that count against the floors."""
        hours = self._authors[topic]
        found = [hours[one] for one in range(hour - TRAIL_H + 1, hour + 1) if one in hours]
        return sum(one.total() for one in found), len(set().union(*found))

    def is_news(self, topic: Topic) -> bool:
        """Whether a topic that the frame does not know is spoken of by enough people to be followed from now on."""
        hours = self._authors[topic]
        return len(set().union(*(hours[hour] for hour in self.hours if hour in hours))) >= LEAST_AUTHORS


def tally(posts: Sequence[Sighting], first: int, until: int, followed: frozenset[str] = frozenset()) -> Tally:
    """Counts posts of hours up to `until`; those before `first` are context.

    Of phrases only those are counted that are `followed` already, or tell something of an hour.
    """
    counted = Tally(first, until)
    said = [(post, phrases(post.text)) for post in posts if hour_of(post.created_at) < until]
    wanted = followed | _telling(said, counted.hours)
    for post, words in said:
        counted.add(post, [*named_topics(post), *(Topic(TopicKind.PHRASE, one) for one in words & wanted)])
    return counted


def _telling(said: Iterable[tuple[Sighting, set[str]]], hours: range) -> frozenset[str]:
    """The phrases that weigh most in each of the hours, against all the others."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for post, words in said:
        counts[hour_of(post.created_at)].update(words)
        total.update(words)
    found: set[str] = set()
    for hour in hours:
        found.update(_heaviest(counts[hour], total, len(counts)) if hour in counts else ())
    return frozenset(found)


def _heaviest(here: Counter[str], total: Mapping[str, int], classes: int) -> list[str]:
    often = {phrase: count for phrase, count in here.items() if count >= _PHRASE_POSTS}
    weights = weigh(often, {phrase: total[phrase] - count for phrase, count in often.items()}, classes)
    return telling(weights, often, PHRASES)
