import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.answers import NoObject, find_object

WHOLE = {"summary": "A boat.", "tags": ["sea", "sun"]}
PLAIN = json.dumps(WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(f"```json\n{PLAIN}\n```", id="fence"),
        pytest.param(f"```\n{PLAIN}", id="fence without an end"),
        pytest.param(f"Sure! Here's it {{not json}}:\n{PLAIN}\nAnything else?", id="prose with braces"),
        pytest.param(f'Like {{"summary": "an example"}} but real:\n{PLAIN}', id="a smaller object first"),
        pytest.param(f'<think>maybe {{"summary": "no", "a": 1, "b": 2}}</think>\n{PLAIN}', id="thoughts"),
        pytest.param(f'so {{"summary": "no", "a": 1, "b": 2}}</think>{PLAIN}', id="thoughts whose begin is missing"),
        pytest.param('{"summary": "A boat.", "tags": ["sea", "sun",],}', id="trailing commas"),
        pytest.param('{"summary": "A boat." "tags": ["sea" "sun"]}', id="missing commas"),
        pytest.param("{'summary': 'A boat.', 'tags': ['sea', 'sun']}", id="single quotes"),
        pytest.param("{summary: 'A boat.', tags: [sea, sun]}", id="bare words"),
        pytest.param(f'{{"report": {PLAIN}}}', id="an object around it"),
        pytest.param(f"[{PLAIN}]", id="a list around it"),
        pytest.param("\ufeff" + PLAIN.replace(" ", "\n\t"), id="white space"),
    ],
)
def test_what_stands_around_an_answer_and_how_it_is_spelled_does_not_matter(text: str) -> None:
    found, cut = find_object(text, "summary")
    assert not cut
    assert {key: "".join(value).replace("\n\t", " ") for key, value in found.items()} == {
        "summary": "A boat.",
        "tags": "seasun",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("9" * 5000, None),
        ("None", None),
        ("undefined", None),
        ("True", True),
        ("0.50", 0.5),
        (".5", 0.5),
        ("85%", "85%"),
        ('"one, two,} three,]"', "one, two,} three,]"),
        ('"two\nlines"', "two\nlines"),
        (r'"a \d b"', "a d b"),
        (r'"say \"hi\" \u00e9"', 'say "hi" é'),
        ("'It's a \"boat\"'", 'It\'s a "boat"'),
        (r"'It\'s'", "It's"),
        ("''", ""),
    ],
)
def test_values_are_read_with_patience(text: str, value: object) -> None:
    assert find_object(f'{{"summary": {text}, "after": 1}}', "summary") == ({"summary": value, "after": 1}, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"summary": "A boat.", "tags": ["sea", "su', {"summary": "A boat.", "tags": ["sea"]}),
        ('{"summary": "A boat.", "tags": [{"a": 1}, {"b"', {"summary": "A boat.", "tags": [{"a": 1}, {}]}),
        ('{"summary": "A boat.", "ta', {"summary": "A boat."}),
        ('{"summary": "A boat.", "tags":', {"summary": "A boat."}),
        ('{"summary": "A boat."', {"summary": "A boat."}),
    ],
)
def test_of_an_answer_that_breaks_off_the_whole_parts_are_kept(text: str, found: dict[str, object]) -> None:
    assert find_object(text, "summary") == (found, True)


@pytest.mark.parametrize(
    "text",
    ["", "I cannot help with that.", "[1, 2]", "{", "{}", "{]", "{: 1}", '{"a" "b"}', "{not json}", "[" * 100_000,
     '{"a":' * 100_000, "{" * 100_000, '{"' * 100_000, "{'" * 60_000, '<think>{"summary": "never ends"}',
     f'<think>{PLAIN}</think>'],
)  # fmt: skip
def test_where_there_is_no_object_that_is_said(text: str) -> None:
    with pytest.raises(NoObject):
        find_object(text, "summary")


floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15) + 1, 10**15 - 1) | floats | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=values, before=st.text(alphabet="abc \n'\"`:,.!"), ascii=st.booleans())
def test_json_is_read_as_json_is(value: object, before: str, ascii: bool) -> None:
    answer = {"summary": value, "and": 1, "then": 2, "still": 3, "more": 4, "than": 5, "inside": 6}
    assert find_object(before + json.dumps(answer, ensure_ascii=ascii), "summary") == (answer, False)


@pytest.mark.parametrize("text", ["{a 'x", "{a '\" ", "{'a' ", "{a:[{b:\"'", "{a:" * 14 + "1}", "'{ \n"])
def test_a_hostile_answer_costs_no_time(text: str) -> None:
    begun = time.process_time()
    with suppress(NoObject):
        find_object(text * 30_000, "summary")
    assert time.process_time() - begun < 2


@given(text=st.text() | st.text(alphabet="{}[]\"',:\\ summary1\n<think>/", max_size=200))
def test_any_text_holds_an_object_or_none(text: str) -> None:
    try:
        found, _ = find_object(text, "summary")
    except NoObject:
        return
    assert isinstance(found, dict)
