"""What a call to a model is, for whoever asks, whoever counts the money and whoever speaks to the vendor."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from uuid import UUID

Role = Literal["generate", "reason", "vision"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

# How a call ended, as `usage_logs` keeps it.
Outcome = Literal[
    "ok",  # a whole answer
    "length",  # an answer that breaks off at max_tokens; never cached
    "content_filter",  # the provider refused the prompt or withheld the answer; never retried, never cached
    "rate_limited",  # 429, ours or the vendor's
    "unavailable",  # not reached, or 5xx
    "timeout",
    "bad_response",  # 200 with something that is no answer
    "refused",  # any other 4xx: our configuration or our request is at fault
    "budget",  # nothing was asked: the money is spent
    "abandoned",  # a stream that its reader left
]


@dataclass(frozen=True)
class ChatRequest:
    """One question. Equal questions may be answered from the cache, or by one call for many at once.

    `image`: a JPEG; `image_tokens`: what it costs by Phi-4 Multimodal's rule, where the caller knows.
    `max_tokens`: of the answer; room to think is the deployment's own. `schema`: a JSON schema of the answer, for
    servers that can be held to one; the prompt has to say it all the same. `prompt_version`: of the prompt's wording.
    """

    role: Role
    prompt: str
    system: str | None = None
    image: bytes | None = None
    image_tokens: int | None = None
    max_tokens: int = 1500
    temperature: float = 0.0
    schema: dict[str, Any] | None = None
    prompt_version: str = ""


@dataclass(frozen=True)
class Caller:
    """For whom is asked.

    `shared`: the question holds nothing of the creator's, so that its answer may serve others; else answers are kept
    within the creator. `cache_s`: how long an answer is good for; None: the role's own time, 0: it is not kept.
    `patience_s`: how long a limit (429, full house) may be waited out before the fallback is asked, or the call fails.
    """

    creator_id: UUID | None = None
    job_id: UUID | None = None
    shared: bool = False
    cache_s: int | None = None
    patience_s: float = 5.0


@dataclass(frozen=True)
class ChatReply:
    """What came back, thoughts taken out. `cost_micro_usd`: millionths of a dollar, rounded up; 0 for a hit.

    `cut`: it breaks off at `max_tokens`. `sandbox`: no model was asked. `output_tokens` hold the `reasoning_tokens`.
    """

    text: str
    model: str
    deployment: str
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cut: bool = False
    cache_hit: bool = False
    sandbox: bool = False

    def to_json(self) -> str:
        """For the cache."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "ChatReply":
        """Raises ValueError for anything that `to_json` has not written."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError("is no reply") from error


@dataclass(frozen=True)
class Ask:
    """What is to be reserved before a call: each try, repair and fallback is an Ask of its own.

    `bound_micro_usd`: the most that it can cost. `lease_s`: after so many seconds the caller is dead, and the call may
    have been paid.
    """

    request_id: UUID
    role: str
    deployment: str
    creator_id: UUID | None
    job_id: UUID | None
    bound_micro_usd: int
    lease_s: float


@dataclass(frozen=True)
class Used:
    """What became of an Ask. `cost_micro_usd` None: not known, and to be settled at the full bound."""

    deployment: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int | None
    latency_ms: int
    outcome: Outcome
    cache_hit: bool = False
    sandbox: bool = False
