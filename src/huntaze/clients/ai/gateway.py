"""The gateway: from a role to an answer. Cache, one call for equal questions, breaker, limits, budget, call, fallback.

Every call to a vendor is an Ask of its own, reserved before and settled after, whatever becomes of it.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from huntaze.clients.ai.asking import Asking, Calls, insist_on_price
from huntaze.clients.ai.patience import Patience
from huntaze.clients.ai.ports import Accepts, Answers, Breaker, Budget, Made, Shaper, Wire, anything
from huntaze.clients.ai.relay import Relay, Show
from huntaze.clients.ai.twins import NoAnswers, NoBreaker, NoShaper
from huntaze.pipelines.ai import errors, tokens
from huntaze.pipelines.ai.calls import Caller, ChatReply, ChatRequest, Role
from huntaze.pipelines.ai.deployments import Deployment, Routes
from huntaze.pipelines.ai.keys import cache_key
from huntaze.pipelines.errors import Permanent, Transient


class Gateway:
    """`ModelGateway` over its ports. Safe to share among threads; built after any fork."""

    def __init__(
        self,
        routes: Routes,
        wire: Wire,
        budget: Budget,
        *,
        answers: Answers | None = None,
        breaker: Breaker | None = None,
        shaper: Shaper | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """`close`: what else is to be let go of at the end."""
        self._routes, self.budget, self._now, self._sleep = routes, budget, now, sleep
        self._calls = Calls(wire, budget, breaker or NoBreaker(), shaper or NoShaper())
        self._answers, self._close = answers or NoAnswers(), close

    def complete(self, request: ChatRequest, caller: Caller, accepts: Accepts = anything) -> ChatReply:
        """The whole answer, of the first deployment of the role's chain that gives one."""
        return self._first(request, caller, accepts, None)

    def stream(self, request: ChatRequest, caller: Caller, accepts: Accepts = anything) -> Iterator[str | ChatReply]:
        """The answer's pieces as they come, then the whole. What is kept, or asked by another at this moment, comes in
        one piece. Once a piece was shown no fallback is tried: what was said stays said."""
        relay = Relay(lambda show: self._first(request, caller, accepts, show))
        yield from relay.pieces()

    def identity(self, role: Role) -> str:
        return self._chain(role)[0].identity

    def price(self, role: Role, input_tokens: int, output_tokens: int) -> int:
        deployment = self._chain(role)[0]
        insist_on_price(deployment)
        return tokens.cost(deployment, input_tokens, output_tokens)

    def close(self) -> None:
        self._calls.wire.close()
        self._answers.close()
        self._close()

    def _chain(self, role: Role) -> tuple[Deployment, ...]:
        """Raises Permanent for a role without a deployment. The budget is only looked at where it may turn the way."""
        pressure = 0.0 if self._routes.economise_at is None else self.budget.pressure(role)
        try:
            return self._routes.chain(role, self._now().date(), pressure)
        except KeyError:
            raise Permanent(errors.NO_DEPLOYMENT, f"No model is set up for the role {role}. See docs/ai.md.") from None

    def _first(self, request: ChatRequest, caller: Caller, accepts: Accepts, show: Show | None) -> ChatReply:
        """Raises what the last deployment of the chain failed with; Permanent and a spent budget end it at once."""
        patience = Patience(caller.patience_s, self._sleep)
        failure: Transient | None = None
        for deployment in self._chain(request.role):
            asking = Asking(self._calls, deployment, request, caller, patience, show)
            try:
                return self._kept_or_asked(asking, accepts)
            except errors.BudgetExhausted:
                raise
            except Transient as error:
                if asking.shown:
                    raise
                failure = error if failure is None or error.retry_after is None else _sooner(failure, error)
        assert failure is not None
        raise failure

    def _kept_or_asked(self, asking: Asking, accepts: Accepts) -> ChatReply:
        """From what is kept, from an equal question that is being asked now, or asked."""
        caller, request = asking.caller, asking.request
        for_s = self._routes.cache_s.get(request.role, 0) if caller.cache_s is None else caller.cache_s
        if for_s <= 0:
            return asking.ask()
        asked: list[ChatReply] = []

        def make() -> Made:
            reply = asking.ask()
            asked.append(reply)
            return Made(reply.to_json(), 0 if reply.cut or not accepts(reply.text) else for_s)

        def usable(kept: str) -> bool:
            found = _parsed(kept)
            return found is not None and accepts(found.text)

        told = self._answers.once(cache_key(asking.deployment, request, caller), make, usable)
        if asked:
            return asked[0]
        shared = _parsed(told)
        return asking.ask() if shared is None else asking.hit(shared)


def _parsed(text: str) -> ChatReply | None:
    """None for something that another release has kept."""
    try:
        return ChatReply.from_json(text)
    except ValueError:
        return None


def _sooner(one: Transient, other: Transient) -> Transient:
    """Whichever is worth trying again first: a wait that was asked for counts, one that was not is left to the kind."""
    if one.retry_after is None:
        return one
    return other if other.retry_after is not None and other.retry_after < one.retry_after else one
