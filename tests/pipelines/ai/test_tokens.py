"""A bound is never below the bill."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.ai.tokens import IMAGE_TOKENS_MOST, bound, cost, input_bound, output_bound
from huntaze.pipelines.video.grid import CELL, canvas_tokens


def deployment(input: int = 80_000, output: int = 320_000, **more: object) -> Deployment:
    prices = {"input_micro_usd_per_million": input, "output_micro_usd_per_million": output}
    return Deployment.model_validate({"name": "a", "model": "b", "base_url": "http://c", **prices, **more})


def test_costs_are_rounded_up() -> None:
    assert cost(deployment(), 1000, 3) == 81  # 80 + 0.96
    assert cost(deployment(), 0, 0) == 0
    assert cost(deployment(), 1, 0) == 1
    assert cost(deployment(audio_micro_usd_per_million=4_000_000), 1000, 0, audio_tokens=500) == 40 + 2000


def test_no_price_is_no_cost() -> None:
    with pytest.raises(ValueError, match="not known"):
        cost(deployment(output_micro_usd_per_million=None), 1, 1)


def test_the_room_to_think_is_reserved_too() -> None:
    assert output_bound(deployment(thinking_tokens=4096), ChatRequest("reason", "x", max_tokens=100)) == 4196
    assert output_bound(deployment(max_output_tokens=50), ChatRequest("reason", "x", max_tokens=100)) == 50


def test_a_picture_has_its_own_bound() -> None:
    request = ChatRequest("vision", "x", image=b"..")
    assert input_bound(deployment(), request) > IMAGE_TOKENS_MOST
    known = ChatRequest("vision", "x", image=b"..", image_tokens=2625)
    assert input_bound(deployment(), known) == 2625 + 1 + 128
    assert input_bound(deployment(image_tokens=1500), known) == 1500 + 1 + 128, "a model that counts otherwise"
    shapes = [(rows, columns) for rows in range(1, 37) for columns in range(1, 37) if rows * columns <= 36]
    assert max(canvas_tokens(columns * CELL, rows * CELL) for rows, columns in shapes) == IMAGE_TOKENS_MOST


@example("ü漢🙂" * 100, "", 1, 10**6, 0)
@given(st.text(max_size=300), st.text(max_size=50), st.integers(1, 5000), st.integers(0, 10**7), st.integers(0, 10**7))
@settings(max_examples=200)
def test_what_can_be_billed_is_within_the_bound(prompt: str, system: str, most: int, input: int, output: int) -> None:
    """A tokenizer over bytes makes at most a token a byte; the answer at most `max_tokens`."""
    one, request = deployment(input, output), ChatRequest("generate", prompt, system=system, max_tokens=most)
    billed = len(prompt.encode("utf-8", "surrogatepass")) + len(system.encode("utf-8", "surrogatepass")) + 64
    assert cost(one, billed, output_bound(one, request)) <= bound(one, request)
