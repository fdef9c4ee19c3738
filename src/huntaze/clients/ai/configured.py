"""From settings to routes: the file of HUNTAZE_AI_CONFIG, or the one server of HUNTAZE_AI_BASE_URL for all roles."""

from typing import Final

from huntaze.pipelines.ai.calls import ROLES
from huntaze.pipelines.ai.catalogue import known, spelled
from huntaze.pipelines.ai.config import parse_config
from huntaze.pipelines.ai.deployments import Deployment, Routes, Wire
from huntaze.setting_groups import AISettings

KEY: Final = "HUNTAZE_AI_API_KEY"
SANDBOX: Final = "sandbox-"
_FACTS: Final = ("context_tokens", "max_output_tokens", "thinking_tokens", "retires_at", "audio_micro_usd_per_million")


def routes_of(settings: AISettings) -> Routes:
    """Raises ConfigError, OSError for a file that has changed since the settings were read."""
    if settings.config is not None:
        return parse_config(settings.config.read_text())
    one = _the_one(settings)
    return Routes({one.name: one}, dict.fromkeys(ROLES, one.name))


def _the_one(settings: AISettings) -> Deployment:
    """The server of the simple variables. Of its model's facts those are taken that no variable tells."""
    assert settings.base_url is not None  # or the settings had not been read
    model = settings.model
    facts = {name: value for name, value in known(model).items() if name in _FACTS}
    return Deployment(
        **facts,
        name="default",
        model=model,
        base_url=settings.base_url,
        wire=_wire(settings.base_url),
        api_key_env=None if settings.api_key is None else KEY,
        input_micro_usd_per_million=settings.input_micro_usd_per_million,
        output_micro_usd_per_million=settings.output_micro_usd_per_million,
        structured="json_schema" if model.startswith(SANDBOX) else "none",
        timeout_s=settings.timeout_s,
    )


def _wire(base_url: str) -> Wire:
    """By what Azure calls its servers; whatever else there is speaks as OpenAI does."""
    host, _, path = base_url.partition("://")[2].partition("/")
    if host.endswith(".services.ai.azure.com") and path.strip("/") in ("", "models"):
        return "azure_models"
    return "azure_v1" if host.endswith((".openai.azure.com", ".services.ai.azure.com")) else "openai"


def guessed_price(settings: AISettings) -> bool:
    """Whether the prices are those of another model: nobody has said them for this one."""
    told = {"input_micro_usd_per_million", "output_micro_usd_per_million"} & settings.model_fields_set
    ours = settings.model.startswith(SANDBOX) or spelled(settings.model) == "Phi-4-multimodal-instruct"
    return settings.config is None and not told and not ours
