"""The sandbox's world of posts: a wave in it is a trend by the detector's own judgement, whenever it was started."""

import uuid
from datetime import UTC, datetime

import pytest

from huntaze.cli.demo_trends import SOURCE
from huntaze.cli.sandbox_posts import HOUR_S, make_items, wave_of
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
    items = make_items(spec.actor, spec.input(), spec.max_items, now, anchor=now)
    rows = [normalise(spec.platform, one, parse_keys(KEYS_TEXT), datetime.fromtimestamp(now, UTC)) for one in items]
    return [
        Sighting(uuid.uuid4(), row.platform, row.created_at, row.author_key, "", row.hashtags, row.sound_id)
        for row in rows
        if isinstance(row, Post)
    ]


@pytest.mark.parametrize("minutes", [0, 31, 59])
def test_one_scrape_of_the_sandbox_holds_a_trend(minutes: int) -> None:
    now = START + minutes * 60
    posts = seen(now)
    until = hour_of(datetime.fromtimestamp(now, UTC))
    counted = tally(posts, until - 80, until)
    assert len(counted.known) > 60, "two days and more before the wave"
    alarms = [one for one in score_round(Detector(), counted, Frame([]), {}).alarms if one.topic.name == wave_of(now)]
    assert len(alarms) == 1
    assert until - alarms[0].hour <= 4


def test_no_wave_has_the_name_of_one_that_is_remembered() -> None:
    hours = [wave_of(START + hour * HOUR_S) for hour in range(400)]
    assert len(set(hours)) == 400
    assert wave_of(START) == wave_of(START + HOUR_S - 1)
