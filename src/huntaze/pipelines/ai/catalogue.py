"""What is known of the models of the product's plan, so that a configuration need not repeat it. All of it can be
overridden there: prices differ by region, and vendors move their dates.

Prices: Azure's price list for global deployments, in micro-USD per million tokens. Dates: Azure's retirement schedule,
which has DeepSeek-V3-0324 end on 2026-07-13 and DeepSeek-R1 on 2026-08-13, and none for Phi-4 Multimodal.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from huntaze.pipelines.ai.calls import Role

PLAN: Final[Mapping[Role, str]] = {
    "generate": "DeepSeek-V3-0324",
    "reason": "DeepSeek-R1",
    "vision": "Phi-4-multimodal-instruct",
}


def _prices(input: int, output: int, audio: int | None = None) -> dict[str, int | None]:
    return {
        "input_micro_usd_per_million": input,
        "output_micro_usd_per_million": output,
        "audio_micro_usd_per_million": audio,
    }


_MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "DeepSeek-V3-0324": {
        **_prices(1_140_000, 4_560_000),
        "context_tokens": 128_000,
        "max_output_tokens": 8192,
        "retires_at": date(2026, 7, 13),
        "fallback": "DeepSeek-V4-Flash",
    },
    "DeepSeek-R1": {
        **_prices(1_350_000, 5_400_000),
        "context_tokens": 128_000,
        "max_output_tokens": 8192,
        "thinking_tokens": 4096,
        "retires_at": date(2026, 8, 13),
        "fallback": "DeepSeek-V4-Pro",
    },
    # Version 0731 of it; the one of April was 190,000 and 510,000, and a bound has to be no less than the bill.
    "DeepSeek-V4-Flash": {
        **_prices(440_000, 1_320_000),
        "context_tokens": 1_000_000,
        "max_output_tokens": 128_000,
        "thinking_tokens": 4096,
    },
    "DeepSeek-V4-Pro": {
        **_prices(1_740_000, 3_480_000),
        "context_tokens": 1_000_000,
        "max_output_tokens": 128_000,
        "thinking_tokens": 8192,
    },
    "Phi-4-multimodal-instruct": {
        **_prices(80_000, 320_000, 4_000_000),
        "context_tokens": 131_072,
        "max_output_tokens": 4096,
    },
}
_BY_NAME: Final = {name.lower(): (name, facts) for name, facts in _MODELS.items()}


def known(model: str) -> Mapping[str, Any]:
    """Fields of a `Deployment` for a model by its name, in any case; none for one that is not known."""
    return _BY_NAME.get(model.lower(), ("", {}))[1]


def spelled(model: str) -> str | None:
    """The name as the catalogue spells it; None for a model that it does not have."""
    return _BY_NAME.get(model.lower(), (None, {}))[0]
