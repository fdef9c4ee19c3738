"""Events come out of a stream whole, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.clients.ai.sse import TooLong, data_of

LINES = st.sampled_from(
    ["data: a", "data:ü", "data: [DONE]x", ": comment", "event: x", "id: 1", "data:", "", "data: b c"]
)


@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 200), max_size=6))
@settings(max_examples=200)
def test_cuts_make_no_difference(lines: list[str], end: str, cuts: list[int]) -> None:
    raw = "".join(line + end for line in lines).encode()
    at = sorted({0, len(raw), *(min(cut, len(raw)) for cut in cuts)})
    pieces = [raw[start:stop] for start, stop in pairwise(at)]
    assert list(data_of(pieces)) == list(data_of([raw]))


def test_what_comes_after_the_end_is_not_read() -> None:
    assert list(data_of([b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n"])) == ["1"]
    assert list(data_of([b"data: 1\ndata: 2\n\n", b"data: 3\n"])) == ["1\n2", "3"]
    assert list(data_of([b"data: [DONE]\n"])) == []


def test_an_event_has_a_bound() -> None:
    with pytest.raises(TooLong):
        list(data_of([b"data: ", b"x" * (1 << 20), b"x"]))
