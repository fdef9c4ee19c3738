"""Deployments and which of them a role asks now: data, and the arithmetic over it. Who asks them is in clients/ai."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from huntaze.pipelines.ai.calls import Role

# azure_v1: https://RESOURCE.openai.azure.com/openai/v1, the model is the deployment's name there.
# azure_models: https://RESOURCE.services.ai.azure.com/models, api-version 2024-05-01-preview.
# openai: whatever has /chat/completions behind its base URL: vLLM, Ollama, llama.cpp.
Wire = Literal["azure_v1", "azure_models", "openai"]
Structured = Literal["none", "json_object", "json_schema"]

WARN_AHEAD: Final = timedelta(days=60)


# What we say of each call ourselves; and what would make a server write more than was reserved.
_NOT_EXTRA: Final = ("messages", "model", "max_tokens", "temperature", "response_format", "stream", "stream_options")
_DEARER: Final = ("n", "best_of", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "tools", "functions")


def plain_address(value: str) -> str:
    """A server's address. Raises ValueError for one that holds a secret, or may: addresses are shown and logged."""
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    if set("@?#") & set(value):
        raise ValueError("must be an address alone, without user, password, ? or #: keys go into headers")
    return value.rstrip("/")


def _extra(value: dict[str, Any]) -> dict[str, Any]:
    wrong = [name for name in value if name in _NOT_EXTRA + _DEARER]
    if wrong:
        raise ValueError(f"must not hold {', '.join(wrong)}: it is ours to say, or costs more than is reserved")
    return value


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Price = Annotated[int, Field(ge=0, le=1_000_000_000)]  # micro-USD a million tokens


class Deployment(BaseModel):
    """One model at one place. Prices are micro-USD per million tokens; without both the deployment is not asked.

    `model` is what the server calls it. `thinking_tokens` come on top of an answer's `max_tokens`: thoughts are output,
    and paid. `opens_thought`: the server's template has opened the thought already, so an answer begins inside of one.
    `api_key_env`, `bearer_env`: names of variables; a secret never stands here. `first_byte_s` bounds the wait for a
    stream to begin and to go on; an answer that is not streamed begins when it is done, and has `timeout_s`.
    `image_tokens`: the most that a picture costs, for a model that counts them otherwise than Phi-4 Multimodal does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=-]*$")
    model: str = Field(min_length=1, max_length=200)
    base_url: Annotated[str, AfterValidator(plain_address)]
    wire: Wire = "openai"
    api_key_env: Variable | None = None
    bearer_env: Variable | None = None
    input_micro_usd_per_million: Price | None = None
    output_micro_usd_per_million: Price | None = None
    audio_micro_usd_per_million: Price | None = None
    context_tokens: int = Field(128_000, ge=256)
    max_output_tokens: int = Field(16_384, ge=1)
    thinking_tokens: int = Field(0, ge=0)
    image_tokens: int | None = Field(None, ge=1)
    opens_thought: bool = False
    structured: Structured = "none"
    extra_body: Annotated[dict[str, Any], AfterValidator(_extra)] = {}
    retires_at: date | None = None
    fallback: str | None = None
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    concurrent: int | None = Field(None, ge=1)
    connect_s: float = Field(5.0, gt=0, le=60)
    first_byte_s: float = Field(30.0, gt=0, le=600)
    timeout_s: float = Field(120.0, gt=0, le=600)

    @property
    def identity(self) -> str:
        """Which model, and where: equal for two that would answer alike."""
        return f"{self.model} at {self.base_url}"

    @property
    def priced(self) -> bool:
        """Whether a bound can be put on a call."""
        return self.input_micro_usd_per_million is not None and self.output_micro_usd_per_million is not None

    def retired(self, today: date) -> bool:
        """Whether the vendor has shut it down by `today` (UTC)."""
        return self.retires_at is not None and today >= self.retires_at


@dataclass(frozen=True)
class Routes:
    """Which deployment answers for which role. `economise_at`: from this share (0..1) of a budget on a role asks the
    first of its fallbacks that is cheaper. `cache_s`: how long a role's answers are good for."""

    deployments: Mapping[str, Deployment]
    roles: Mapping[Role, str]
    economise_at: float | None = None
    cache_s: Mapping[Role, int] = field(default_factory=lambda: dict(CACHE_S))

    def chain(self, role: Role, today: date, pressure: float = 0.0) -> tuple[Deployment, ...]:
        """The deployments to ask, in order; the retired ones are left out where anything else is there.

        A vendor's dates move: if all are past theirs they are asked all the same. Raises KeyError for a role that has
        no deployment.
        """
        whole = self.following(self.roles[role])
        alive = [one for one in whole if not one.retired(today)] or whole
        if self.economise_at is not None and pressure >= self.economise_at:
            cheaper = [at for at, one in enumerate(alive) if at and _cheaper(one, alive[0])]
            return tuple(alive[cheaper[0] :] if cheaper else alive)
        return tuple(alive)

    def following(self, name: str | None) -> list[Deployment]:
        """The deployment, its fallback, the fallback of that, each once."""
        whole: list[Deployment] = []
        while name and name not in (one.name for one in whole):
            whole.append(self.deployments[name])
            name = whole[-1].fallback
        return whole

    def used(self) -> dict[str, list[Role]]:
        """The deployments that any role can come to, with those roles."""
        found: dict[str, list[Role]] = {}
        for role, name in self.roles.items():
            for one in self.following(name):
                found.setdefault(one.name, []).append(role)
        return found


CACHE_S: Final[Mapping[Role, int]] = {"generate": 3600, "reason": 86_400, "vision": 3600}


def _cheaper(one: Deployment, other: Deployment) -> bool:
    """By its output, which is the dear part of an answer; never one whose price is not known."""
    price, at_most = one.output_micro_usd_per_million, other.output_micro_usd_per_million
    return price is not None and at_most is not None and price < at_most


@dataclass(frozen=True)
class Retirement:
    """A deployment that roles come to and that ends, or has ended. `days`: until then, negative afterwards.

    `successor`: who answers then; None: nobody.
    """

    deployment: str
    roles: tuple[Role, ...]
    retires_at: date
    days: int
    successor: str | None


def retirements(routes: Routes, today: date) -> list[Retirement]:
    """All deployments in use that have a date, the next one first."""
    found = []
    for name, roles in routes.used().items():
        one = routes.deployments[name]
        if one.retires_at is None:
            continue
        then = max(today, one.retires_at)
        successor = next((each.name for each in routes.following(one.fallback) if not each.retired(then)), None)
        found.append(Retirement(name, tuple(roles), one.retires_at, (one.retires_at - today).days, successor))
    return sorted(found, key=lambda each: each.retires_at)
