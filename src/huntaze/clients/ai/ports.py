"""The ports of the gateway: what callers take, and what the gateway itself asks for. The twins are in `twins.py`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from huntaze.pipelines.ai.calls import Ask, Caller, ChatReply, ChatRequest, Role, Used
from huntaze.pipelines.ai.chat_format import Answer
from huntaze.pipelines.ai.deployments import Deployment

Accepts = Callable[[str], bool]


def anything(text: str) -> bool:  # noqa: ARG001
    """For callers that can use whatever is answered."""
    return True


class ModelGateway(Protocol):
    """Asks the model of a role.

    Raises Transient (`ai.unavailable`, `ai.timeout`, `ai.rate_limited`, `ai.bad_response`), BudgetExhausted, and
    Permanent (`ai.content_filter`, `ai.refused`, `ai.unknown_price`, `ai.no_deployment`).

    `accepts`: whether an answer's text is of use. One that is not is given all the same, but not kept, nor taken from
    what is kept.
    """

    def complete(self, request: ChatRequest, caller: Caller, accepts: Accepts = anything) -> ChatReply:
        """The whole answer."""
        ...

    def stream(self, request: ChatRequest, caller: Caller, accepts: Accepts = anything) -> Iterator[str | ChatReply]:
        """The answer's text, piece by piece, and last the reply as a whole. To be read to its end, or closed."""
        ...

    def identity(self, role: Role) -> str:
        """Which model is asked, and where: equal for two that would answer alike."""
        ...

    def price(self, role: Role, input_tokens: int, output_tokens: int) -> int:
        """Micro-USD for so many tokens, rounded up. Raises Permanent (`ai.unknown_price`)."""
        ...

    def close(self) -> None:
        """Lets go of connections and threads. Nothing may be asked afterwards."""
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


@dataclass(frozen=True)
class Made:
    """An answer that was made just now, and for how many seconds it may be given again. 0: to those alone who wait for
    it at this moment."""

    text: str
    keep_s: float


class Answers(Protocol):
    """Kept answers by key, and one call for many equal questions at once. Where they are away nothing is kept and
    everybody calls; that raises nothing."""

    def once(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        """What is kept, if it is usable, or what `make` makes, whoever makes it. What it raises goes to who made it;
        the others then ask again by themselves, and so they do when its maker dies."""
        ...

    def close(self) -> None: ...


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

    def close(self) -> None: ...
