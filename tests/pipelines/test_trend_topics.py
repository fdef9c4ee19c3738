"""One topic however it was typed, nothing that says nothing, and phrases by what they tell of their hour."""

import unicodedata
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from huntaze.pipelines.trends.topics import (
    PLATFORM_TAGS,
    Topic,
    TopicKind,
    canonical,
    hashtag_topic,
    named_topics,
    phrases,
    telling,
    weigh,
)


class Seen(NamedTuple):
    platform: str
    text: str
    hashtags: list[str]
    sound_id: str | None


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("BookTok", "booktok"),
        ("Ｂｏｏｋｔｏｋ", "booktok"),
        ("book\u200btok", "booktok"),
        ("\u202ebooktok\u202c", "booktok"),
        ("Q&amp;A", "q&a"),
        ("STRAẞE", "strasse"),
        ("cafe\u0301", "café"),
        ("İstanbul", "i̇stanbul"),
        ("❤\ufe0f", "❤"),
        ("👍🏽", "👍"),
        ("👩\u200d🚀", "👩🚀"),
        ("हिन्दी", "हिन्दी"),
        ("##booktok", "booktok"),
    ],
)
def test_a_tag_is_the_same_however_it_was_typed(tag: str, name: str) -> None:
    assert hashtag_topic(tag) == Topic(TopicKind.HASHTAG, unicodedata.normalize("NFKC", name))


@pytest.mark.parametrize("tag", ["fyp", "FYP", "ForYouPage", "f\u200byp", "2024", "", "#", "___", "ｆｙｐ"])
def test_what_says_nothing_is_no_topic(tag: str) -> None:
    assert hashtag_topic(tag) is None


@settings(deadline=None)
@given(st.text(max_size=40))
@example("&amp;amp;")
def test_the_canonical_form_is_its_own(text: str) -> None:
    once = canonical(text)
    if "&" not in once:  # an entity within an entity was meant as text
        assert canonical(once) == once


def test_platform_tags_are_written_as_they_are_compared() -> None:
    assert {tag for tag in PLATFORM_TAGS if hashtag_topic(tag) is not None} == set()


def test_a_post_names_its_tags_and_its_sound_once() -> None:
    post = Seen("tiktok", "…", ["BookTok", "booktok", "fyp"], "7011")
    assert named_topics(post) == {Topic(TopicKind.HASHTAG, "booktok"), Topic(TopicKind.SOUND, "tiktok:7011")}
    assert named_topics(Seen("x", "", [], None)) == set()


def test_phrases_stay_within_a_clause() -> None:
    found = phrases("New phone drop https://x.test/a today #ad don’t\nwait. @you Miss it 2024")
    assert {"new phone drop", "phone drop", "today", "don’t"} <= found
    assert not {"drop today", "drop https", "ad", "you", "today don’t", "don’t wait", "wait miss", "2024"} & found
    assert phrases("a 1 22 !!!") == {"a 1 22", "a 1"}


def test_what_is_said_at_every_hour_weighs_less_than_what_is_said_now() -> None:
    here = Counter({"the": 40, "eclipse": 12, "eclipse tonight": 12})
    weights = weigh(here, Counter({"the": 900, "coffee": 60}), 24)
    assert weights["eclipse"] > weights["the"]
    assert telling(weights, here, 1) == ["eclipse tonight"], "the word is nearly always part of the phrase"
    assert telling(weights, here, 9) == ["eclipse tonight", "the"]
    assert telling(weigh({}, {}, 0), {}, 9) == []
