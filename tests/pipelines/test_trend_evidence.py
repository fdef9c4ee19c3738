"""What speaks of a topic, and what it speaks of beside it."""

import uuid
from datetime import UTC, datetime

from huntaze.pipelines.trends.buckets import Sighting
from huntaze.pipelines.trends.evidence import Evidence, gather
from huntaze.pipelines.trends.topics import Topic, TopicKind

MOON, ECLIPSE = Topic(TopicKind.PHRASE, "purple moon"), Topic(TopicKind.HASHTAG, "eclipse")


def post(text: str, *tags: str) -> Sighting:
    return Sighting(uuid.uuid4(), "tiktok", datetime(2026, 11, 1, tzinfo=UTC), None, text, tags, None)


def test_a_topic_is_shown_by_its_posts_and_by_what_a_fifth_of_them_speak_of() -> None:
    posts = [post("Purple Moon!", "Eclipse"), post("a purple moon", "night"), *(post("purple moon") for _ in range(4))]
    found = gather([*posts, post("nothing", "eclipse")], {MOON, ECLIPSE, Topic(TopicKind.HASHTAG, "unseen")})
    assert found[MOON] == Evidence([one.post_id for one in posts], [])
    assert found[ECLIPSE].related == []
    assert len(found[ECLIPSE].posts) == 2
    assert set(found) == {MOON, ECLIPSE}
    night = Topic(TopicKind.HASHTAG, "night")
    assert gather(posts[:3], {MOON})[MOON].related == [(ECLIPSE, 1 / 3), (night, 1 / 3)]
