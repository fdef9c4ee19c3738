"""Trends as detection leaves them, without the hours it takes to detect them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from huntaze.models.database import Sessions
from huntaze.models.trend_sources import TrendSource
from huntaze.models.trend_topics import (
    DetectorState,
    FrameHour,
    TopicFrame,
    TopicHour,
    Trend,
    TrendEvidence,
    TrendTopic,
)
from tests.models.sampled import HOUR, crowd, run

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def frame(sessions: Sessions, of: TrendSource) -> TopicFrame:
    """A source's samples, scored up to now, of three hours that are known."""
    made = TopicFrame(source_id=of.id, max_items=of.max_items, platform=of.platform, region=of.region, scored_until=NOW)
    with sessions.begin() as session:
        session.add(made)
        session.flush()
        session.add_all([FrameHour(frame_id=made.id, hour=NOW - back * HOUR, posts=100) for back in (1, 2, 3)])
    return made


def risen(
    sessions: Sessions, of: TrendSource, seen: TopicFrame, name: str, *related: str, text: str = "", **given: Any
) -> uuid.UUID:
    """A hashtag that rose two hours ago, with two posts."""
    topic = TrendTopic(kind="hashtag", name=name)
    with sessions.begin() as session:
        session.add(topic)
        session.flush()
        trend = Trend(
            topic_id=topic.id,
            related=[{"kind": "hashtag", "name": one, "share": 0.8} for one in related],
            **{
                "platforms": [seen.platform],
                "regions": [seen.region] if seen.region else [],
                "started_at": NOW - 2 * HOUR,
                "peak_at": NOW - HOUR,
                "strength": 2.0,
                "confidence": 0.9,
                "posts": 12,
                "authors": 9,
            }
            | given,
        )
        session.add_all([trend, DetectorState(frame_id=seen.id, topic_id=topic.id, hour=NOW - HOUR, state=b"")])
        session.add(
            TopicHour(topic_id=topic.id, frame_id=seen.id, hour=NOW - HOUR, posts=7, authors=6, value=7.5, strength=2)
        )
        session.flush()
        trend_id = trend.id
    posts = crowd(sessions, run(sessions, of, NOW + timedelta(seconds=len(name))), NOW - HOUR, 2, name, text=text)
    with sessions.begin() as session:
        session.add_all([TrendEvidence(trend_id=trend_id, post_id=one, rank=at) for at, one in enumerate(posts, 1)])
    return trend_id
