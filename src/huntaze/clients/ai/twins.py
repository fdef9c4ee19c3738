"""In-memory twins of the ports: for tests, and for a process that runs alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from huntaze.clients.ai.flight import Flight
from huntaze.clients.ai.ports import Accepts, Made, anything
from huntaze.pipelines.ai.calls import Ask, Caller, ChatReply, ChatRequest, Role, Used
from huntaze.pipelines.ai.errors import BudgetExhausted


@dataclass
class ScriptedGateway:
    """Answers what it was told to, for 100 and 10 tokens a call, and remembers what it was asked."""

    answer: Callable[[ChatRequest], str]
    name: str = "scripted"
    asked: list[tuple[ChatRequest, Caller]] = field(default_factory=list)

    def complete(self, request: ChatRequest, caller: Caller, accepts: Accepts = anything) -> ChatReply:  # noqa: ARG002
        self.asked.append((request, caller))
        cost = self.price(request.role, 100, 10)
        return ChatReply(self.answer(request), self.name, self.name, 100, 10, cost, sandbox=True)

    def stream(
        self,
        request: ChatRequest,
        caller: Caller,
        accepts: Accepts = anything,  # noqa: ARG002
    ) -> Iterator[str | ChatReply]:
        """Word by word."""
        reply = self.complete(request, caller)
        yield from (f"{word} " for word in reply.text.split(" ")[:-1])
        yield reply.text.rpartition(" ")[2]
        yield reply

    def identity(self, role: Role) -> str:
        return f"{self.name} for {role}"

    def price(self, role: Role, input_tokens: int, output_tokens: int) -> int:  # noqa: ARG002 - every role costs the same
        return -(-(80_000 * input_tokens + 320_000 * output_tokens) // 1_000_000)

    def close(self) -> None:
        """Holds nothing."""


@dataclass
class MemoryBudget:
    """One limit for everything; keeps what happened in `rows`."""

    limit_micro_usd: int = 1_000_000_000
    spent: int = 0
    reserved: dict[Ask, int] = field(default_factory=dict)
    rows: list[tuple[Ask, Used]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, ask: Ask) -> None:
        with self._lock:
            if self.spent + sum(self.reserved.values()) + ask.bound_micro_usd > self.limit_micro_usd:
                self.rows.append((ask, Used(ask.deployment, 0, 0, 0, 0, 0, 0, "budget")))
                raise BudgetExhausted("total", datetime(2099, 1, 1, tzinfo=UTC), 3600.0)
            self.reserved[ask] = ask.bound_micro_usd

    def settle(self, ask: Ask, used: Used) -> None:
        with self._lock:
            bound = self.reserved.pop(ask)
            self.spent += bound if used.cost_micro_usd is None else used.cost_micro_usd
            self.rows.append((ask, used))

    def note(self, ask: Ask, used: Used) -> None:
        with self._lock:
            self.rows.append((ask, used))

    def pressure(self, role: Role) -> float:  # noqa: ARG002 - one limit for all roles
        with self._lock:
            return (self.spent + sum(self.reserved.values())) / max(self.limit_micro_usd, 1)


@dataclass
class MemoryAnswers:
    """Keeps everything for ever; `ttls` tells for how long it was asked to. One call at once among the threads of this
    process."""

    kept: dict[str, str] = field(default_factory=dict)
    ttls: dict[str, float] = field(default_factory=dict)
    _flight: Flight = field(default_factory=Flight)

    def once(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        return self._flight.once(key, lambda: self._kept_or_made(key, make, usable))

    def _kept_or_made(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        kept = self.kept.get(key)
        if kept is not None and usable(kept):
            return kept
        made = make()
        if made.keep_s > 0:
            self.kept[key], self.ttls[key] = made.text, made.keep_s
        return made.text

    def close(self) -> None:
        """Keeps what it has."""


class NoAnswers:
    """Keeps nothing; everybody calls."""

    def once(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:  # noqa: ARG002
        return make().text

    def close(self) -> None:
        """Has nothing."""


@dataclass
class MemoryBreaker:
    """Open for the deployments of `open`; remembers what was recorded."""

    open: set[str] = field(default_factory=set)
    recorded: list[tuple[str, bool]] = field(default_factory=list)

    def allows(self, deployment: str) -> bool:
        return deployment not in self.open

    def record(self, deployment: str, ok: bool) -> None:
        self.recorded.append((deployment, ok))


class NoBreaker:
    """Lets everything through."""

    def allows(self, deployment: str) -> bool:  # noqa: ARG002
        return True

    def record(self, deployment: str, ok: bool) -> None:
        """Keeps nothing."""


class NoShaper:
    """Knows no limits."""

    def take(self, deployment: str, tokens: int, patience_s: float) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()
