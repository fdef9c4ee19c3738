"""A question whose answer has to have a form: what cannot be used is asked for again, once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from huntaze.clients.ai.ports import Accepts, ModelGateway
from huntaze.pipelines.ai.calls import Caller, ChatReply, ChatRequest
from huntaze.pipelines.ai.replies import UnusableAnswer

T = TypeVar("T")

BAD_ANSWER: Final = "ai.bad_answer"
_AGAIN: Final = "Answer with the one JSON object that was asked for, and nothing else."


@dataclass(frozen=True)
class Answered(Generic[T]):
    """What was made of the answer, and every reply that was given for it."""

    value: T
    replies: tuple[ChatReply, ...]


def ask_checked(gateway: ModelGateway, request: ChatRequest, caller: Caller, parse: Callable[[str], T]) -> Answered[T]:
    """Only an answer that can be used is kept. Raises UnusableAnswer, with both answers in its detail, and what the
    gateway raises."""
    reply = gateway.complete(request, caller, parses(parse))
    try:
        return Answered(parse(reply.text), (reply,))
    except UnusableAnswer as first:
        return ask_again(gateway, request, caller, parse, first, reply)


def ask_again(
    gateway: ModelGateway,
    request: ChatRequest,
    caller: Caller,
    parse: Callable[[str], T],
    first: UnusableAnswer,
    reply: ChatReply,
) -> Answered[T]:
    """The second try. The bad answer is not shown to the model, as somebody's words may have made it so."""
    again = gateway.complete(replace(request, prompt=f"{request.prompt}\n\n{_AGAIN}"), caller, parses(parse))
    try:
        return Answered(parse(again.text), (reply, again))
    except UnusableAnswer as second:
        raise UnusableAnswer(f"{first.detail}\n\nand when asked again: {second.problem}", second.answer) from None


def parses(parse: Callable[[str], object]) -> Accepts:
    """Accepts what can be parsed."""

    def accepts(text: str) -> bool:
        try:
            parse(text)
        except UnusableAnswer:
            return False
        return True

    return accepts
