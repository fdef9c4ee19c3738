"""The stand-in speaks as the models are asked to, so that everything behind it is tried. How it misbehaves is in
tests/clients/ai/test_gateway.py."""

import asyncio
import json
from typing import Annotated, Literal

import httpx
import numpy as np
import pytest
from pydantic import BaseModel, Field

from huntaze.cli.sandbox_ai import build_app
from huntaze.cli.sandbox_ai_picture import CELL, answer, image_tokens
from huntaze.cli.sandbox_ai_text import answer_text
from huntaze.pipelines.video.grid import canvas_tokens
from huntaze.pipelines.video.report import Report, parse_report


def grid() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Three pictures and an empty place."""
    made = np.random.default_rng(1).integers(0, 255, (2 * CELL, 2 * CELL, 3), np.uint8)
    made[CELL:, CELL:] = 16
    return made


def test_the_answer_has_every_field_that_is_asked_for() -> None:
    said = answer(grid())
    assert set(said) == set(Report.model_fields) - {"notes", "dropped", "prompt_version"}
    report = parse_report(json.dumps(said), {1: 0.0, 2: 1.0, 3: 2.0})
    assert (report.dropped, report.notes) == (0, ())
    assert len(report.scenes) == 3
    assert report.cover is not None
    assert all((report.titles, report.captions, report.hooks, report.tags, report.quality_notes))
    assert "SANDBOX" in report.summary


def test_it_counts_a_grid_s_tokens_as_the_model_does() -> None:
    for rows, columns in ((1, 1), (2, 2), (2, 3), (3, 3), (4, 4)):
        picture = np.zeros((rows * CELL, columns * CELL, 3), np.uint8)
        assert image_tokens(picture) == canvas_tokens(columns * CELL, rows * CELL)


class Reply(BaseModel):
    tone: Literal["warm", "cool"]
    text: Annotated[str, Field(max_length=20)]


class Replies(BaseModel):
    replies: Annotated[list[Reply], Field(min_length=3, max_length=3)]
    share: Annotated[float, Field(ge=0.5)]
    note: str | None = None


def test_words_are_answered_in_the_form_that_was_asked_for() -> None:
    said = Replies.model_validate_json(answer_text("three replies, please", Replies.model_json_schema()))
    assert [reply.tone for reply in said.replies] == ["warm"] * 3
    assert said.share == 0.5
    assert all(reply.text.startswith("SANDBOX") for reply in said.replies)
    assert "no model has read this" in answer_text("hello", None)


def posted(path: str, body: object) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app()), base_url="http://sandbox") as client:
            return await client.post(path, json=body)

    return asyncio.run(post())


@pytest.mark.parametrize("model", ["gpt-9", "DeepSeek-R1", "sandbox-vision", "phi+think"])
def test_it_never_pretends_to_be_a_model(model: str) -> None:
    for path in ("/v1", "/openai/v1", "/models"):
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        said = posted(f"{path}/chat/completions", body).json()
        assert said["model"] == "sandbox-text"
        assert "SANDBOX" in said["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "x"},
        {"model": "x+typo", "messages": []},
        {"model": "x", "messages": [{"content": [{"type": "image_url", "image_url": {"url": "http://h/x.jpg"}}]}]},
        {
            "model": "x",
            "messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}],
        },
        [],
    ],
)
def test_what_it_cannot_answer_is_refused(body: object) -> None:
    assert posted("/v1/chat/completions", body).status_code == 400
