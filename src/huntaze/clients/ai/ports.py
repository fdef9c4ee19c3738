"""The ports of the gateway: what callers take, and what the gateway itself asks for. The twins are in `twins.py`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from huntaze.pipelines.ai.calls import Ask, Caller, ChatReply, ChatRequest, Role, Used
from huntaze.pipelines.ai.chat_format import Answer
from huntaze.pipelines.ai.deployments import Deployment


class ModelGateway(Protocol):
    """Asks the model of a role.

    Raises Transient (`ai.unavailable`, `ai.timeout`, `ai.rate_limited`, `ai.bad_response`), BudgetExhausted, and
    Permanent (`ai.content_filter`, `ai.refused`, `ai.unknown_price`, `ai.no_deployment`).
    """

    def complete(self, request: ChatRequest, caller: Caller) -> ChatReply:
        """The whole answer."""
        ...

    def stream(self, request: ChatRequest, caller: Caller) -> Iterator[str | ChatReply]:
        """The answer's text, piece by piece, and last the reply as a whole. To be read to its end, or closed."""
        ...

    def identity(self, role: Role) -> str:
        """Which model is asked, and where: equal for two that would answer alike."""
        ...

    def price(self, role: Role, input_tokens: int, output_tokens: int) -> int:
        """Micro-USD for so many tokens, rounded up. Raises Permanent (`ai.unknown_price`)."""
        ...


class Budget(Protocol):
    """The money. Times and months are the ledger's own."""

    def reserve(self, ask: Ask) -> None:
        """Raises BudgetExhausted where the bound does not fit into every limit that it falls under; that has its row
        of usage then, and is not settled."""
        ...

    def settle(self, ask: Ask, used: Used) -> None:
        """Frees the reservation, counts the cost (the full bound where it is not known), writes the row of usage.
        Raises nothing for a ledger that is away: the answer must not be lost with it."""
        ...

    def note(self, ask: Ask, used: Used) -> None:
        """A row of usage without a reservation: a hit. Raises nothing for a ledger that is away."""
        ...

    def pressure(self, role: Role) -> float:
        """The largest share (0..1) that is spent or reserved of the limits that this role falls under."""
        ...


class Cache(Protocol):
    """Answers by key. A cache that is away holds nothing, and raises nothing."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, reply_json: str, ttl_s: float) -> None: ...


class Flight(Protocol):
    """One call for many equal questions at once."""

    def once(self, key: str, call: Callable[[], str]) -> str:
        """What `call` returns, whoever made it. What it raises goes to who made it; the others then ask again by
        themselves, and so they do when its maker dies."""
        ...


class Breaker(Protocol):
    """Whether a deployment is worth asking."""

    def allows(self, deployment: str) -> bool: ...

    def record(self, deployment: str, ok: bool) -> None:
        """Of each call that was allowed and made. Not ok: away, too slow, or speaking nonsense; a refusal is an answer.
        A call that was allowed need not come to be: the budget may refuse it."""
        ...


class Shaper(Protocol):
    """The fleet's share of a deployment's limits: requests and tokens a minute, calls at once."""

    def take(self, deployment: str, tokens: int, patience_s: float) -> AbstractContextManager[None]:
        """Holds a place for one call of at most `tokens` (input and output) while the block runs. Waits for it up to
        `patience_s`; raises Transient (`ai.rate_limited`, with `retry_after`) where that is not enough."""
        ...


class Wire(Protocol):
    """One call to one deployment; knows no money, no retries."""

    def complete(self, deployment: Deployment, request: ChatRequest) -> Answer:
        """Raises CallFailed."""
        ...

    def stream(self, deployment: Deployment, request: ChatRequest) -> Iterator[str | Answer]:
        """The pieces of the text, none of them empty, then the whole. Raises CallFailed."""
        ...
