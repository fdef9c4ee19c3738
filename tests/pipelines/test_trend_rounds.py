"""From posts to alarms: shares within one frame, floors, silence that was observed, rounds that may be cut anywhere."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.trends.buckets import LEAST_SAMPLE, Sighting, hour_of, moment_of, standardised, tally
from huntaze.pipelines.trends.detector import Detector
from huntaze.pipelines.trends.rounds import MEMORY_H, Frame, Kept, Round, score_round
from huntaze.pipelines.trends.topics import Topic, TopicKind

START = hour_of(datetime(2026, 11, 1, tzinfo=UTC))
HOURLY = Detector()
ECLIPSE = Topic(TopicKind.HASHTAG, "eclipse")
DAILY = Topic(TopicKind.HASHTAG, "daily")


def post(hour: int, *tags: str, author: str = "", text: str = "", sound: str | None = None) -> Sighting:
    created = moment_of(START + hour) + timedelta(minutes=17)
    return Sighting(uuid.uuid4(), "tiktok", created, author.encode() or None, text, tags, sound)


def crowd(hour: int, posts: int, *tags: str, authors: int | None = None, text: str = "") -> list[Sighting]:
    return [post(hour, *tags, author=f"{hour}-{n % (authors or posts)}", text=text) for n in range(posts)]


def rounds(posts: Sequence[Sighting], *cuts: int, detector: Detector = HOURLY) -> list[Round]:
    """Scores hours from 0 up to the last of the cuts, a round up to each cut."""
    frame, kept, done, start = Frame([]), dict[Topic, Kept](), list[Round](), 0
    for cut in cuts:
        counted = tally([one for one in posts if hour_of(one.created_at) < START + cut], START + start, START + cut)
        done.append(score_round(detector, counted, frame, kept))
        frame, kept, start = done[-1].frame, {**kept, **done[-1].states}, cut
    return done


def alarms(found: Sequence[Round]) -> list[tuple[Topic, int]]:
    return [(alarm.topic, alarm.hour - START) for one in found for alarm in one.alarms]


def usual(hours: int) -> list[Sighting]:
    return [one for hour in range(hours) for one in crowd(hour, 60, "daily")]


def test_a_topic_out_of_nowhere_is_an_alarm_once_its_silence_was_observed() -> None:
    burst = crowd(72, 12, "Eclipse")
    found = rounds([*usual(73), *burst], 72, 73)
    assert alarms(found) == [(ECLIPSE, 72)]
    assert (found[1].alarms[0].posts, found[1].alarms[0].authors) == (12, 12)
    assert alarms(rounds([*usual(25), *crowd(24, 12, "eclipse")], 24, 25)) == [], "nobody has listened for long"


@pytest.mark.parametrize(("posts", "authors"), [(4, 4), (40, 2), (40, 1)])
def test_few_posts_or_few_people_are_no_trend_and_hold_no_later_one_up(posts: int, authors: int) -> None:
    few = crowd(72, posts, "eclipse", authors=authors)
    eager = Detector(threshold=2)
    found = rounds([*usual(74), *few], 72, 73, detector=eager)
    assert alarms(found) == []
    more = crowd(73, 50, "eclipse")
    assert alarms(rounds([*usual(74), *few, *more], 72, 73, 74, detector=eager)) == [(ECLIPSE, 73)]


def test_a_larger_sample_is_no_trend() -> None:
    """Twice the posts were scraped, of everything: the share is the same."""
    quiet = [one for hour in range(96) for one in [*crowd(hour, 40), *crowd(hour, 8, "daily")]]
    double = [*crowd(96, 160), *crowd(96, 32, "daily")]
    half = [*crowd(96, 20), *crowd(96, 4, "daily")]
    for last in (double, half):
        found = rounds([*quiet, *last], 96, 97)
        assert alarms(found) == []
        assert next(one.value for one in found[1].scored if one.topic == DAILY) == pytest.approx(8)


def test_an_hour_without_a_sample_is_unknown_and_not_zero() -> None:
    gap = range(40, 50)
    posts = [one for one in usual(97) if hour_of(one.created_at) - START not in gap]
    posts += [one for hour in gap for one in crowd(hour, LEAST_SAMPLE - 1)]
    [found] = rounds(posts, 97)
    assert found.frame.seen == 97 - len(gap)
    assert alarms([found]) == []
    assert {one.hour - START for one in found.scored} & set(gap) == set()


def test_a_thin_hour_is_scaled_up_twofold_at_most() -> None:
    assert standardised(3, 100, 100.0) == 3
    assert standardised(3, 50, 100.0) == 6
    assert standardised(3, 20, 100.0) == 6
    assert standardised(3, 300, 100.0) == 1


def test_a_phrase_that_tells_something_is_followed_and_common_words_are_not_news() -> None:
    talk = [one for hour in range(73) for one in crowd(hour, 40, text="what a day it is")]
    burst = crowd(72, 15, text="look at the purple moon, what a day")
    found = rounds([*talk, *burst], 72, 73)
    assert ("the purple moon", 72) in {(topic.name, hour) for topic, hour in alarms(found)}
    assert not {"what a day", "what", "a day"} & {topic.name for topic, _ in alarms(found)}


def test_a_sound_is_a_topic_of_its_platform() -> None:
    posts = [post(0, author=str(n), sound="77") for n in range(LEAST_SAMPLE)]
    [found] = rounds(posts, 1)
    assert set(found.states) == {Topic(TopicKind.SOUND, "tiktok:77")}


@settings(deadline=None, max_examples=8)
@given(st.lists(st.integers(0, 9), min_size=30, max_size=60), st.sets(st.integers(1, 29), max_size=6))
def test_rounds_may_be_cut_anywhere(counts: list[int], cuts: set[int]) -> None:
    """An outage, a backfill, a topic that sleeps for a while: the scores are those of one long round."""
    eager = Detector(warm_up_d=0.25, threshold=2)
    posts = [
        one
        for hour, count in enumerate(counts)
        for one in [*crowd(hour, 30), *crowd(hour, 2, "daily"), *crowd(hour, count, "eclipse")]
    ]
    [whole] = rounds(posts, len(counts), detector=eager)
    pieces = rounds(posts, *sorted(cuts), len(counts), detector=eager)
    assert alarms(pieces) == alarms([whole])
    last = pieces[-1]
    assert last.frame.typical == pytest.approx(whole.frame.typical)
    known = {(one.topic, one.hour): one for one in whole.scored}
    first_news = min((hour for hour, count in enumerate(counts) if count > 1), default=0)
    for one in (one for piece in pieces for one in piece.scored):
        if one.topic == DAILY or one.hour - START >= first_news:
            assert one.strength == pytest.approx(known[one.topic, one.hour].strength, rel=1e-3, abs=1e-3)


def test_a_topic_that_slept_for_long_or_whose_state_is_another_s_begins_anew() -> None:
    counted = tally([*crowd(0, 30, "daily")], START, START + 1)
    frame = Frame(range(START - MEMORY_H, START), MEMORY_H, 30.0)
    fresh = score_round(HOURLY, counted, frame, {})
    for kept in (Kept(START - MEMORY_H - 1, b"?" * HOURLY.state_bytes), Kept(START - 1, b"?")):
        assert score_round(HOURLY, counted, frame, {DAILY: kept}).states == fresh.states
    assert fresh.states[DAILY].hour == START
