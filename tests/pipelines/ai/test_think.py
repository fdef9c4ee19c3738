"""Thoughts are taken out, however an answer is cut into pieces."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai.think import ThinkFilter, without_thoughts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hello", "hello"),
        ("<think>why</think>hello", "hello"),
        ("\n<think>\nwhy\n</think>\n\nhello\n", "hello\n"),
        ("<think></think><think>again</think> hello", "hello"),
        ("<think>never ends", ""),
        ("<think>cut </thin", ""),
        ("why\n</think>\n\nhello", "hello"),  # opened by the server's template
        ("the word <think> in the middle</think> stays", "the word <think> in the middle</think> stays"),
        ("<thinker> is a name", "<thinker> is a name"),
        ("<thi", "<thi"),
        ("", ""),
    ],
)
def test_what_is_left_is_the_answer(text: str, answer: str) -> None:
    assert without_thoughts(text)[0] == answer


def test_thoughts_are_counted() -> None:
    assert without_thoughts("<think>12345</think>hello") == ("hello", 5)
    assert without_thoughts("12345</think>hello", opened=True) == ("hello", 5)
    assert without_thoughts("<think>12345") == ("", 5)


PARTS = st.sampled_from(["<think>", "</think>", "<", "think", ">", "</", " ", "\n", "a", "</thin", "ü", "<th"])
TEXTS = st.lists(PARTS, max_size=12).map("".join)


@given(TEXTS, st.lists(st.integers(0, 40), max_size=8), st.booleans())
@example("<think>a</think>b", [3, 9, 10], False)
@settings(max_examples=300)
def test_pieces_make_no_difference(text: str, cuts: list[int], opened: bool) -> None:
    at = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(at)]
    whole, piecewise = ThinkFilter(opened=opened), ThinkFilter(opened=opened)
    expected = whole.feed(text) + whole.close()
    shown = [piecewise.feed(piece) for piece in pieces]
    assert "".join(shown) + piecewise.close() == expected
    assert piecewise.thought_chars == whole.thought_chars
    assert text.endswith(expected)


@given(TEXTS.filter(lambda text: "<" not in text))
def test_what_holds_no_thought_is_left_alone(text: str) -> None:
    assert without_thoughts(text) == (text.lstrip() if text.strip() else text, 0)
