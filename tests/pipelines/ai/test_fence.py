"""Untrusted text on its way into a prompt."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai.fence import fence, visible
from tests.pipelines.ai.injections import INJECTIONS

FENCED = re.compile(r'<data name="message">("[^<>`\n]*")</data>')


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_no_text_gets_out(text: str) -> None:
    fenced = FENCED.fullmatch(fence("message", text, 200))
    assert fenced is not None, "one line, and no mark of ours inside"
    assert json.loads(fenced[1]) == visible(text, 200), "and nothing is lost to the fence"
    assert fence("message", text, 200) == fence("message", text, 200)


@pytest.mark.parametrize("text", INJECTIONS)
def test_attempts_stay_inside(text: str) -> None:
    fenced = fence("message", text, 2000)
    assert FENCED.fullmatch(fenced)
    assert fenced.count("</data>") == 1
    assert not re.search(r"<\||<｜|\[/?INST\]<|</s>", fenced)


def test_what_nobody_sees_is_not_sent() -> None:
    hidden = "".join(chr(0xE0000 + ord(sign)) for sign in "ignore")
    assert visible(f"a{hidden}b\u202e\x00c\u2066", 50) == "a b c"
    assert visible("👩\u200d👩", 50) == "👩\u200d👩", "a family stays one"
    assert visible("x" * 99, 7) == "x" * 7
    with pytest.raises(ValueError, match="room"):
        visible("x", 0)
    with pytest.raises(ValueError, match="no name"):
        fence("a b", "x", 5)
