"""What shows a trend: the posts that speak of it, and what else they speak of."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from typing import NamedTuple

from huntaze.pipelines.trends.buckets import Sighting
from huntaze.pipelines.trends.topics import Topic, TopicKind, named_topics, phrases

_POSTS = 200  # of a topic and a round: enough to choose the best of
_RELATED = 5
_LEAST_SHARE = 0.2  # of the topic's posts, for another topic to be related


class Evidence(NamedTuple):
    """`related`: other hashtags and sounds with their share (0..1) of the posts, the largest first."""

    posts: list[uuid.UUID]
    related: list[tuple[Topic, float]]


def gather(posts: Iterable[Sighting], wanted: Set[Topic]) -> dict[Topic, Evidence]:
    """The evidence for each topic of `wanted` that one of the posts speaks of."""
    words = {topic.name for topic in wanted if topic.kind == TopicKind.PHRASE}
    speaking: defaultdict[Topic, list[uuid.UUID]] = defaultdict(list)
    beside: defaultdict[Topic, Counter[Topic]] = defaultdict(Counter)
    for post in posts:
        named = named_topics(post)
        said = {Topic(TopicKind.PHRASE, one) for one in phrases(post.text) & words} if words else set()
        for topic in (named | said) & wanted:
            speaking[topic].append(post.post_id)
            beside[topic].update(named - {topic})
    return {topic: Evidence(found[-_POSTS:], _related(beside[topic], len(found))) for topic, found in speaking.items()}


def _related(beside: Counter[Topic], posts: int) -> list[tuple[Topic, float]]:
    shares = [(topic, count / posts) for topic, count in beside.items() if count >= _LEAST_SHARE * posts]
    return sorted(shares, key=lambda one: (-one[1], one[0]))[:_RELATED]
