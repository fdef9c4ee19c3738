"""The wire's in-memory twin: speaks no HTTP, and misbehaves by the same switches as the sandbox."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from huntaze.clients.ai.errors import CallFailed, failed
from huntaze.pipelines.ai import errors
from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.chat_format import Answer, Usage
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.ai.switches import Calls, aloud, status_of
from huntaze.pipelines.ai.think import without_thoughts
from huntaze.pipelines.errors import Permanent, Transient


@dataclass
class MemoryWire:
    """Answers what it was told to, for 100 input tokens and a token for every four characters."""

    answer: Callable[[ChatRequest], str] = lambda request: f"SANDBOX: {len(request.prompt)} characters"
    asked: list[tuple[str, ChatRequest]] = field(default_factory=list)  # model, request
    _calls: Calls = field(default_factory=Calls)

    def complete(self, deployment: Deployment, request: ChatRequest) -> Answer:
        self.asked.append((deployment.model, request))
        switches = self._calls.in_force(deployment.model)
        _fail(switches)
        text = aloud("SANDBOX" if "bad_answer" in switches else self.answer(request), switches)
        shown, _ = without_thoughts(text, opened=deployment.opens_thought)
        usage = None if "no_usage" in switches else Usage(100, max(len(text) // 4, 1), reasoning=0)
        if "output_filter" in switches:
            return Answer("", "sandbox-memory", "content_filter", usage)
        if "cut" in switches:
            return Answer(shown[: len(shown) // 2], "sandbox-memory", "length", usage)
        return Answer(shown, "sandbox-memory", "stop", usage)

    def stream(self, deployment: Deployment, request: ChatRequest) -> Iterator[str | Answer]:
        """Five characters a piece."""
        dropped = "drop" in deployment.model
        whole = self.complete(deployment.model_copy(update={"model": deployment.model.replace("+drop", "")}), request)
        pieces = [whole.text[at : at + 5] for at in range(0, len(whole.text), 5)]
        yield from pieces[: len(pieces) // 2] if dropped else pieces
        if dropped:
            raise failed("unavailable")
        yield whole

    def close(self) -> None:
        """Holds nothing."""


def _fail(switches: dict[str, str]) -> None:
    """Raises CallFailed as the switches say."""
    if "prompt_filter" in switches:
        raise CallFailed(errors.content_filter(), "content_filter", "prompt")
    if "hang" in switches:
        raise failed("timeout")
    if "drop" in switches:
        raise failed("unavailable")
    if "not_json" in switches:
        raise failed("bad_response")
    status = status_of(switches)
    wait = int(switches[str(status)]) / 1000 if status and switches[str(status)] else None
    if status == 429:
        raise CallFailed(
            Transient(errors.RATE_LIMITED, "The model's server asks to wait.", wait), "rate_limited", "nothing"
        )
    if status in (408, 504):
        raise failed("timeout")
    if status is not None and status >= 500:
        raise failed("unavailable", "nothing" if status == 503 else "unknown", wait)
    if status is not None:
        raise CallFailed(Permanent(errors.REFUSED, "The model's server refused the request."), "refused", "nothing")
