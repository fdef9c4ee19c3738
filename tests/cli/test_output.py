"""Tables and lines, on a narrow terminal and in a pipe."""

import io
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from huntaze.cli import output, report
from huntaze.cli.api_client import _refusal
from huntaze.cli.demo import DemoFacts


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns gets."""
    shown = io.StringIO()
    console = Console(file=shown, width=80, highlight=False, color_system=None)
    monkeypatch.setattr(output, "out", console)
    monkeypatch.setattr(report, "out", console)
    return shown


def test_an_id_stays_whole_where_it_is_narrow(terminal: io.StringIO) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    output.print_table(["id", "error"], [(id, "e" * 200) for id in ids], "none")
    assert all(id in terminal.getvalue() for id in ids)
    assert terminal.getvalue().count("e") > 600, "and what does not fit is folded, not cut"


def test_a_pipe_is_wide(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output._console().width >= 500


FACTS = DemoFacts(
    file="[v1].mp4",
    video_id="v",
    job_id="j",
    state="succeeded",
    jobs=[],
    timings=[],
    total_s=1.0,
    reading=None,
    cells=[{"cell": 0, "time_s": 1.0}],
    media={"duration_s": 2.0, "codec": "h264", "width": 2, "height": 2},
    analysis=None,
    usage=None,
    ledger=None,
    grid="/".join(["long"] * 30) + "/grid.jpg",
    events=[],
    error=None,
    problems=["no frames were taken out", "not every job succeeded"],
)


def test_a_path_is_never_broken(terminal: io.StringIO) -> None:
    report.print_facts(FACTS)
    assert str(FACTS.grid) in terminal.getvalue()
    assert "[v1].mp4" in terminal.getvalue(), "and brackets are no markup"
    assert terminal.getvalue().count("Not done: ") == 2


ANALYSIS = {
    "summary": "A boat [sails].",
    "tags": ["sea", "sun"],
    "scenes": [{"cell": 3, "time_s": 12.44, "description": "the boat"}],
    "cover": {"cell": 3, "time_s": 12.44, "reason": "sharp"},
    "titles": ["A day at sea", "Sails"],
    "captions": [],
    "hooks": ["Wait."],
    "language": None,
    "content_rating": "general",
    "safety_flags": ["weapons"],
    "quality_notes": [],
    "confidence": 0.8,
    "notes": ["1 scene(s) dropped"],
}
USAGE = {"model": "phi", "sandbox": False, "input_tokens": 3000, "output_tokens": 200, "cost_micro_usd": 304}


def test_an_analysis_is_shown_whole(terminal: io.StringIO) -> None:
    forecast = {"input_tokens": 3300, "output_tokens": 1720, "cost_micro_usd": 815}
    report.print_facts(replace(FACTS, analysis=ANALYSIS, usage=USAGE | {"forecast": forecast}))
    shown = [line.strip("│ ") for line in terminal.getvalue().splitlines()]
    for line in (
        "A boat [sails].",
        "#3   12.4 s  the boat",
        "Cover     #3 at 12.4 s: sharp",
        "Titles    A day at sea",
        "Sails",
        "Hooks     Wait.",
        "Judged    rated general, confidence 80%",
        "Flags     weapons",
        "Note      1 scene(s) dropped",
    ):
        assert line in shown
    told = " ".join(terminal.getvalue().split())
    assert "phi: 3000 + 200 tokens, $0.000304; forecast at most 3300 + 1720, $0.000815" in told


def test_an_answer_that_was_there_already_is_told_to_cost_nothing(terminal: io.StringIO) -> None:
    report.print_facts(replace(FACTS, analysis=ANALYSIS, usage=USAGE | {"reused": True, "reused_from": "v0"}))
    assert "phi: not asked again" in terminal.getvalue()
    assert "$" not in terminal.getvalue()


def test_a_failed_video_is_told_by_its_error_alone(terminal: io.StringIO) -> None:
    failed = replace(FACTS, error={"code": "media.unreadable", "message": "It is damaged."}, media=None, grid=None)
    report.print_facts(failed)
    assert terminal.getvalue().splitlines() == [
        "The video could not be analysed: It is damaged. (media.unreadable)",
        "Job       j",
    ]
    assert failed.as_json()["problems"] == FACTS.problems


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            {"detail": "Not valid: cells: Too many.", "errors": [{"field": "cells", "message": "Too many"}]},
            "Not valid: cells: Too many. (c)",
        ),
        ({"detail": "Not valid.", "errors": [{"field": "a", "message": "Too many"}]}, "Not valid. a: Too many (c)"),
        ({"title": "Gone"}, "Gone (c)"),
    ],
)
def test_a_refusal_is_told_once(problem: dict[str, Any], told: str) -> None:
    assert str(_refusal(httpx.Response(422, json={**problem, "code": "c"}))) == told


def test_a_page_instead_of_a_problem_is_told(tmp_path: Path) -> None:
    assert str(_refusal(httpx.Response(502, text="<html>"))) == "The API answered 502."
