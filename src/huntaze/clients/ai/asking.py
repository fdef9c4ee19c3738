"""One question to one deployment: every call of it is reserved, made and settled, and limits are waited out between."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import uuid_utils.compat

from huntaze.clients.ai.errors import CallFailed
from huntaze.clients.ai.patience import Patience
from huntaze.clients.ai.ports import Breaker, Budget, Shaper, Wire
from huntaze.pipelines.ai import errors, tokens
from huntaze.pipelines.ai.calls import Ask, Caller, ChatReply, ChatRequest, Outcome, Used
from huntaze.pipelines.ai.chat_format import Answer
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.errors import Permanent, Transient

_SICK: Final[frozenset[Outcome]] = frozenset({"unavailable", "timeout", "bad_response"})
_LEASE_SLACK_S: Final = 30.0  # for waiting on a thread, and for settling


@dataclass(frozen=True)
class Calls:
    """What a call goes through."""

    wire: Wire
    budget: Budget
    breaker: Breaker
    shaper: Shaper


class Asking:
    """`show` is given the answer's text as it comes; `shown`: it has been given any, so no other may answer."""

    def __init__(
        self,
        calls: Calls,
        deployment: Deployment,
        request: ChatRequest,
        caller: Caller,
        patience: Patience,
        show: Callable[[str], None] | None,
    ) -> None:
        self.deployment, self.request, self.caller = deployment, request, caller
        self.shown = False
        self._calls, self._patience, self._show = calls, patience, show

    def ask(self) -> ChatReply:
        """Calls until there is an answer, or none can be waited for. Raises what the gateway raises."""
        insist_on_price(self.deployment)
        while True:
            try:
                return self._call()
            except Transient as error:
                if not self._patience.bears(error):
                    raise

    def hit(self, reply: ChatReply) -> ChatReply:
        """An answer that was paid before: shown whole, and noted as having cost nothing."""
        ask = self._new_ask(0)
        used = Used(reply.deployment, 0, 0, 0, 0, 0, 0, "ok", cache_hit=True, sandbox=reply.sandbox)
        self._calls.budget.note(ask, used)
        self._pass_on(reply.text)
        return replace(reply, cost_micro_usd=0, cache_hit=True)

    def _call(self) -> ChatReply:
        name, request = self.deployment.name, self.request
        most = tokens.input_bound(self.deployment, request) + tokens.output_bound(self.deployment, request)
        asked = time.monotonic()
        with self._calls.shaper.take(name, most, self._patience.left_s):
            self._patience.spend(time.monotonic() - asked)
            if not self._calls.breaker.allows(name):
                raise Transient(errors.UNAVAILABLE, "The model's server has failed too often and is given a rest.")
            ask = self._new_ask(tokens.bound(self.deployment, request))
            self._calls.budget.reserve(ask)
            begun = time.monotonic()
            try:
                answer = self._answer()
            except CallFailed as failed:
                self._calls.breaker.record(name, failed.outcome not in _SICK)
                self._calls.budget.settle(ask, self._failed(failed, begun))
                raise failed.error from failed
            except BaseException:  # a fault of ours, or a stop in the middle: it may have been paid
                self._calls.budget.settle(ask, self._nothing(None, begun, "abandoned"))
                raise
            self._calls.breaker.record(name, True)
            return self._taken(ask, answer, begun)

    def _answer(self) -> Answer:
        if self._show is None:
            return self._calls.wire.complete(self.deployment, self.request)
        for piece in self._calls.wire.stream(self.deployment, self.request):
            if isinstance(piece, Answer):
                return piece
            self._pass_on(piece)
        raise RuntimeError("a stream ended without its answer")

    def _pass_on(self, piece: str) -> None:
        if self._show is not None and piece:
            self.shown = True
            self._show(piece)

    def _taken(self, ask: Ask, answer: Answer, begun: float) -> ChatReply:
        """Settles an answer. Raises Permanent for one that the provider's filter has withheld."""
        usage, cost = answer.usage, None
        if usage is not None:
            cost = tokens.cost(self.deployment, usage.input, usage.output, usage.audio)
        outcome: Outcome = "ok" if answer.finish == "stop" else answer.finish
        counts = (usage.input, usage.output, usage.cached, usage.reasoning or 0) if usage else (0, 0, 0, 0)
        used = Used(ask.deployment, *counts, cost, _since(begun), outcome, sandbox=answer.sandbox)
        self._calls.budget.settle(ask, used)
        if answer.finish == "content_filter":
            raise errors.content_filter()
        return ChatReply(
            text=answer.text,
            model=answer.model,
            deployment=ask.deployment,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost_micro_usd=ask.bound_micro_usd if cost is None else cost,
            cached_tokens=used.cached_tokens,
            reasoning_tokens=used.reasoning_tokens,
            cut=answer.finish == "length",
            sandbox=answer.sandbox,
        )

    def _new_ask(self, bound: int) -> Ask:
        one = self.deployment
        # A read may begin just before the time is over, and last as long again.
        lease_s = one.connect_s + 2 * one.timeout_s + _LEASE_SLACK_S
        caller, id = self.caller, uuid_utils.compat.uuid7()
        return Ask(id, self.request.role, one.name, caller.creator_id, caller.job_id, bound, lease_s)

    def _failed(self, failed: CallFailed, begun: float) -> Used:
        cost = {"nothing": 0, "unknown": None}.get(failed.paid)
        if failed.paid == "prompt":
            cost = tokens.cost(self.deployment, tokens.input_bound(self.deployment, self.request), 0)
        return self._nothing(cost, begun, failed.outcome)

    def _nothing(self, cost: int | None, begun: float, outcome: Outcome) -> Used:
        """A call that brought nothing."""
        return Used(self.deployment.name, 0, 0, 0, 0, cost, _since(begun), outcome)


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)


def insist_on_price(deployment: Deployment) -> None:
    """Raises Permanent for a deployment without a price: what cannot be bounded is not asked."""
    if not deployment.priced:
        told = f"The price of the model {deployment.name} is not known, so it is not asked. Set it: see docs/ai.md."
        raise Permanent(errors.UNKNOWN_PRICE, told)
