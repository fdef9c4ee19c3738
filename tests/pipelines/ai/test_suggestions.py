"""Replies and captions: what is asked, and what is believed of the answer."""

import hashlib
import json
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai import captions, suggestions
from huntaze.pipelines.ai.captions import Seen
from huntaze.pipelines.ai.chat_format import is_content_filter
from huntaze.pipelines.ai.fence import RULE
from huntaze.pipelines.ai.prompts.loading import load
from huntaze.pipelines.ai.replies import UnusableAnswer, has_link
from huntaze.pipelines.ai.suggestions import Incoming, Message, parse_suggestions
from tests.pipelines.ai.injections import FALLEN, INJECTIONS

THREE = [
    {"tone": "warm", "text": "Thank you!"},
    {"tone": "Playful", "text": "More?"},
    {"tone": "odd", "text": "Oh {}."},
]
ANSWER = json.dumps({"suggestions": THREE})

# A prompt that was used is never changed: answers are kept under its version. A better wording is a new file, whose
# digest is written down here before it is used.
DIGESTS = {
    "captions.1": "44d7ce81b3c9d8ce",
    "insights.1": "00e85a9ca4c182fb",
    "suggestions.1": "70c3058825d31f93",
}


def test_prompts_are_as_they_were() -> None:
    folder = files("huntaze.pipelines.ai.prompts")
    names = sorted(one.name.removesuffix(".txt") for one in folder.iterdir() if one.name.endswith(".txt"))
    found = {name: hashlib.sha256(load(name).system.encode()).hexdigest()[:16] for name in names}
    assert {name: found.get(name) for name in DIGESTS} == DIGESTS
    assert all(RULE in load(name).system for name in names), "each says what a fence is"


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_attempt_changes_nothing_of_ours(text: str) -> None:
    plain, tried = suggestions.build_request(Message("Hello")), suggestions.build_request(Message(text))
    assert (tried.system, tried.schema, tried.max_tokens) == (plain.system, plain.schema, plain.max_tokens)
    assert len(tried.prompt.splitlines()) == 1
    assert tried.prompt.count("<data") == tried.prompt.count("</data>") == 1
    caption = captions.build_request(Seen({"summary": text, "tags": [text], "scenes": [{"description": text}, 7]}))
    assert caption.prompt.count("<data") == caption.prompt.count("</data>") == 3
    assert len(caption.prompt.splitlines()) == 4


def test_three_that_differ() -> None:
    found = parse_suggestions(f"<think>hm</think> Here: ```json\n{ANSWER}\n```")
    assert [(one.tone, one.text) for one in found] == [
        ("warm", "Thank you!"),
        ("playful", "More?"),
        ("neutral", "Oh {}."),
    ]


@pytest.mark.parametrize("answer", FALLEN)
def test_an_answer_of_another_shape_is_none(answer: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse_suggestions(answer)
    assert Incoming().feed(answer) == [] or '"x"' in answer


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_whatever_a_model_writes_has_our_shape_or_none(text: str) -> None:
    for answer in (text, json.dumps({"suggestions": [{"text": text, "tone": text}, *THREE]})):
        try:
            found = parse_suggestions(answer)
        except UnusableAnswer:
            continue
        assert len(found) == 3
        assert all(one.text and "\n" not in one.text and len(one.text) <= 600 for one in found)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20))
@settings(max_examples=60)
def test_a_stream_shows_each_as_soon_as_it_is_whole(cuts: list[int]) -> None:
    incoming, shown, at = Incoming(), list[str](), 0
    for size in [*cuts, len(ANSWER)]:
        shown += [one.text for one in incoming.feed(ANSWER[at : at + size])]
        at += size
        assert all(json.dumps(text)[1:-1] in ANSWER[:at] for text in shown)
    assert shown == [one.text for one in parse_suggestions(ANSWER)]


def test_captions_are_bounded() -> None:
    given_ = [
        {"text": "One.", "hashtags": ["#Beach", "two words", 7, "sun_set"]},
        {"text": "see www.x.io"},
        {"text": "one."},
    ]
    (only,) = captions.parse_captions(json.dumps({"captions": given_}), 3)
    assert (only.text, only.hashtags) == ("One.", ("beach", "7", "sun_set"))
    with pytest.raises(UnusableAnswer):
        captions.parse_captions('{"captions": [{"text": "mailto:a@b.example"}]}', 3)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("see evil.example/login", True),
        ("HTTPS://EVIL.EXAMPLE", True),
        ("write to me@evil.example", True),
        ("tg://join", True),
        ("xn--80ak6aa92e.xn--p1ai", True),
        ("Thanks.See you soon", False),
        ("So glad... more at 7.30, ok?", False),
        ("Hi! Yes :)", False),
    ],
)
def test_links(text: str, link: bool) -> None:
    assert has_link(text) is link


def test_an_answer_that_nests_without_end_gives_none() -> None:
    assert Incoming().feed('{"suggestions": [{"text":' + "[" * 100_000 + "}") == []
    assert not is_content_filter(b"[" * 60_000)
