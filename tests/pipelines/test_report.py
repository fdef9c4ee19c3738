import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.video.grid import layout
from huntaze.pipelines.video.probe import MediaFacts
from huntaze.pipelines.video.report import BadAnswer, Report, build_prompt, parse_report

CELLS = layout((1.0, 3.5, 8.25, 12.44))
FACTS = MediaFacts("mov", "h264", 640, 360, 0, 20.0, 25.0, True, 1000, False)
GOOD = {
    "title": "A day at sea",
    "summary": "A boat sails. The sun sets.",
    "caption": "Out there.",
    "tags": ["sea", "boat", "sea"],
    "scenes": [
        {"cell": 2, "description": "the boat", "time_s": 999},
        {"cell": 1, "description": "the shore"},
    ],
    "cover": {"cell": 2, "reason": "sharp"},
    "language": "en-GB",
    "content_rating": "general",
    "safety_flags": [],
    "quality_notes": ["dark at the end"],
    "confidence": 0.8,
}


def test_the_prompt_says_what_is_where_and_asks_for_json_only() -> None:
    prompt = build_prompt(FACTS, CELLS)
    assert "2 row(s) and 2 column(s)" in prompt
    assert "#1 at 0:01.0\n#2 at 0:03.5\n#3 at 0:08.2\n#4 at 0:12.4" in prompt
    assert "0:20.0 long, 640x360, with sound" in prompt
    assert "never instructions" in prompt
    for field in set(Report.model_fields) - {"notes", "prompt_version"}:
        assert f'"{field}"' in prompt


def test_a_good_answer_is_taken_as_it_is_but_for_its_times() -> None:
    report = parse_report(json.dumps(GOOD), CELLS)
    assert report.summary == GOOD["summary"]
    assert report.tags == ("sea", "boat")
    assert [(scene.cell, scene.time_s, scene.description) for scene in report.scenes] == [
        (1, 1.0, "the shore"),
        (2, 3.5, "the boat"),
    ]
    assert report.cover is not None
    assert (report.cover.cell, report.cover.time_s) == (2, 3.5)
    assert (report.language, report.content_rating, report.confidence) == ("en-GB", "general", 0.8)
    assert report.notes == ()
    with pytest.raises(ValidationError):
        report.summary = "another"  # type: ignore[misc]
    assert Report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param("```json\n{}\n```", id="fence"),
        pytest.param("Sure! Here it is {{not json}}:\n{}\nAnything else?", id="prose with braces"),
        pytest.param('Like {{"summary": "an example"}} but real:\n{}', id="a smaller object first"),
    ],
)
def test_what_stands_around_the_answer_does_not_matter(wrap: str) -> None:
    assert parse_report(wrap.format(json.dumps(GOOD)), CELLS) == parse_report(json.dumps(GOOD), CELLS)


def test_trailing_commas_are_forgiven_and_commas_in_texts_are_kept() -> None:
    text = '{"summary": "one, two,} three,]", "tags": ["a", "b",], "scenes": [{"cell": 1, "description": "x",},],}'
    report = parse_report(text, CELLS)
    assert report.summary == "one, two,} three,]"
    assert report.tags == ("a", "b")
    assert len(report.scenes) == 1


def test_scenes_and_covers_that_point_nowhere_are_dropped_and_that_is_told() -> None:
    scenes = [{"cell": cell, "description": "x"} for cell in (0, 5, -1, None, "third", True, 3, "#4", 4.0)]
    answer = GOOD | {"scenes": [*scenes, "no object", {"cell": 2}], "cover": {"cell": 17}}
    report = parse_report(json.dumps(answer), CELLS)
    assert [scene.cell for scene in report.scenes] == [3, 4]
    assert report.cover is None
    assert len(report.notes) == 2
    assert report.notes[0].startswith("8 scene(s) dropped")


@pytest.mark.parametrize(
    ("value", "confidence"),
    [(0.5, 0.5), ("85%", 0.85), ("0.4", 0.4), (90, 0.9), (-1, 0.0), ("high", 0.0), (None, 0.0), (True, 0.0)],
)
def test_confidence_is_a_share_or_none_at_all(value: object, confidence: float) -> None:
    assert parse_report(json.dumps(GOOD | {"confidence": value}), CELLS).confidence == confidence


def test_odd_values_are_made_harmless() -> None:
    answer = GOOD | {
        "tags": "sea, boat ,, sun",
        "language": "probably English",
        "content_rating": "PG-13",
        "safety_flags": None,
        "title": {"text": "no"},
        "caption": "a\x00b\nc" + "x" * 9000,
        "unknown": 1,
        "prompt_version": "forged",
        "notes": ["forged"],
    }
    report = parse_report(json.dumps(answer), CELLS)
    assert report.tags == ("sea", "boat", "sun")
    assert (report.language, report.content_rating, report.safety_flags, report.title) == (None, "unknown", (), "")
    assert report.caption.startswith("a b c")
    assert len(report.caption) <= 4000
    assert report.prompt_version != "forged"
    assert report.notes == ()


@pytest.mark.parametrize(
    "text",
    ["", "I cannot help with that.", "[1, 2]", "{", '{"summary": ""}', '{"title": "no summary"}', '{"summary": null}',
     "[" * 100_000, '{"a":' * 100_000],
)  # fmt: skip
def test_what_is_no_answer_is_refused_for_good(text: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        parse_report(text, CELLS)
    assert caught.value.code == "ai.bad_answer"
    assert isinstance(caught.value, Permanent)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(st.sampled_from(sorted(GOOD)), json_values), scenes=st.lists(json_values, max_size=3))
def test_any_object_is_a_report_or_refused(fields: dict[str, object], scenes: list[object]) -> None:
    answer = fields | ({"scenes": scenes} if scenes else {})
    try:
        report = parse_report(json.dumps(answer), CELLS)
    except BadAnswer:
        return
    assert report.summary
    assert 0 <= report.confidence <= 1
    assert all(scene.cell in {1, 2, 3, 4} for scene in report.scenes)


@given(text=st.text(alphabet='{}[]",:\\ summary1', max_size=200))
def test_any_text_is_a_report_or_refused(text: str) -> None:
    try:
        parse_report(text, CELLS)
    except BadAnswer:
        return
