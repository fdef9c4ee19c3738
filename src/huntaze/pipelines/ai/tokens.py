"""Bounds and costs: integer tokens and micro-USD. A bound is never below what a call can be billed."""

import json
from typing import Final

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.deployments import Deployment

# Roles, separators and the template's own words; the longest template of the models in use needs under 64.
_FRAME_TOKENS: Final = 128
# The dearest canvas of Phi-4 Multimodal: 36 crops, one column (`pipelines.video.grid.canvas_tokens`).
IMAGE_TOKENS_MOST: Final = 10_065


def input_bound(deployment: Deployment, request: ChatRequest) -> int:
    """The most input tokens of a request.

    The tokenizers in use work on bytes and never make more tokens than there are bytes; for English that is about four
    times too many, which a reservation of seconds can bear.
    """
    texts = [request.prompt, request.system or ""]
    if request.schema is not None:
        texts.append(json.dumps(request.schema))
    image = 0
    if request.image is not None:
        image = deployment.image_tokens or request.image_tokens or IMAGE_TOKENS_MOST
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + image + _FRAME_TOKENS


def output_bound(deployment: Deployment, request: ChatRequest) -> int:
    """`max_tokens` of the call: the answer's and the room to think, within what the deployment can write."""
    return min(request.max_tokens + deployment.thinking_tokens, deployment.max_output_tokens)


def cost(deployment: Deployment, input_tokens: int, output_tokens: int, audio_tokens: int = 0) -> int:
    """Micro-USD, rounded up. `audio_tokens` are a part of the input, at their own price where there is one.

    Raises ValueError for a deployment whose price is not known.
    """
    price, out = deployment.input_micro_usd_per_million, deployment.output_micro_usd_per_million
    if price is None or out is None:
        raise ValueError(f"the price of {deployment.name} is not known")
    audio = deployment.audio_micro_usd_per_million
    total = (input_tokens - audio_tokens) * price + audio_tokens * (price if audio is None else audio)
    return -(-(total + output_tokens * out) // 1_000_000)


def bound(deployment: Deployment, request: ChatRequest) -> int:
    """The most that one call can cost, in micro-USD. Raises ValueError as `cost` does."""
    return cost(deployment, input_bound(deployment, request), output_bound(deployment, request))
