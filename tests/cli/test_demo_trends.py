"""The sandbox's world of posts: whenever it is asked, a wave of its is a trend by the detector's own judgement."""

import uuid
from datetime import UTC, datetime

import pytest

from huntaze.cli.demo_trends import SOURCE
from huntaze.cli.sandbox_posts import WAVE_S, make_items, wave_of
from huntaze.pipelines.trends.buckets import Sighting, hour_of, tally
from huntaze.pipelines.trends.detector import Detector
from huntaze.pipelines.trends.posts.identity import parse_keys
from huntaze.pipelines.trends.posts.normalise import normalise
from huntaze.pipelines.trends.posts.post import Post
from huntaze.pipelines.trends.posts.sources import SourceSpec
from huntaze.pipelines.trends.rounds import Frame, score_round
from tests.tasks.trends import KEYS_TEXT

START = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()


def seen(now: float) -> list[Sighting]:
    """What a scrape of the demo's source finds."""
    spec = SourceSpec(**SOURCE)
    items = make_items(spec.actor, spec.input(), spec.max_items, now)
    rows = [normalise(spec.platform, one, parse_keys(KEYS_TEXT), datetime.fromtimestamp(now, UTC)) for one in items]
    return [
        Sighting(uuid.uuid4(), row.platform, row.created_at, row.author_key, row.text, row.hashtags, row.sound_id)
        for row in rows
        if isinstance(row, Post)
    ]


@pytest.mark.parametrize("minutes", [0, 125, 359])
def test_one_scrape_of_the_sandbox_holds_a_trend(minutes: int) -> None:
    now = START + minutes * 60
    until = hour_of(datetime.fromtimestamp(now, UTC))
    counted = tally(seen(now), until - 80, until)
    assert len(counted.known) > 60, "more than the detector needs to know what is usual"
    alarms = score_round(Detector(), counted, Frame([]), {}).alarms
    waves = {wave_of(now), wave_of(now - WAVE_S)}
    found = [until - one.hour for one in alarms if one.topic.name in waves]
    assert found
    assert min(found) <= 8


def test_posts_are_what_they_were_and_waves_have_names_of_their_own() -> None:
    assert {one.text for one in seen(START)[:-10]} <= {one.text for one in seen(START + 600)}
    assert len({wave_of(START + number * WAVE_S) for number in range(400)}) == 400
    assert wave_of(START // WAVE_S * WAVE_S) == wave_of(START // WAVE_S * WAVE_S + WAVE_S - 1)
