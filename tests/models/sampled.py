"""Posts as scrapes leave them: sources, runs that feed, and crowds of posts by the hour."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.trend_posts import Post
from huntaze.models.trend_sources import RunState, TrendRun, TrendSource, Verdict

HOUR = timedelta(hours=1)


def source(sessions: Sessions, query: str = "#daily", **given: Any) -> TrendSource:
    facts = {"platform": "tiktok", "region": "DE", "cron": "0 * * * *", "actor": "x/y", "max_items": 500}
    made = TrendSource(
        query=query, max_charge_micro_usd=1, next_run_at=datetime.fromisoformat("2030-01-01T00:00Z"), **facts | given
    )
    with sessions.begin() as session:
        session.add(made)
    return made


def run(sessions: Sessions, of: TrendSource, at: datetime, *, feeds: bool = True) -> TrendRun:
    """A collected run that was started then."""
    made = TrendRun(
        source_id=of.id,
        slot=at,
        state=RunState.COLLECTED,
        actor=of.actor,
        input={},
        max_items=of.max_items,
        max_charge_micro_usd=1,
        external_id=str(new_id()),
        observed_at=at,
        verdict=Verdict.SAMPLE if feeds else Verdict.PARTIAL,
        feeds=feeds,
        nulls={},
    )
    with sessions.begin() as session:
        session.add(made)
    return made


def crowd(sessions: Sessions, by: TrendRun, hour: datetime, count: int, *tags: str, **given: Any) -> list[uuid.UUID]:
    """So many posts of different authors within an hour."""
    facts = {"platform": "tiktok", "kind": "video", "created_exact": True, "text": "", "region": "DE"}
    made = [
        Post(
            native_id=str(new_id()),
            author_key=f"{hour}-{number}".encode(),
            author_key_version=1,
            created_at=hour + timedelta(seconds=number),
            hashtags=list(tags),
            observed_at=hour + HOUR,
            first_seen_at=hour + HOUR,
            source_id=by.source_id,
            run_id=by.id,
            **facts | given,
        )
        for number in range(count)
    ]
    with sessions.begin() as session:
        session.add_all(made)
    return [post.id for post in made]
