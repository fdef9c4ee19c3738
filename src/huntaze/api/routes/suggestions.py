"""What a model writes while somebody waits for it: replies to a fan, captions for a video."""

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse

from huntaze.api.auth import Caller, Writer
from huntaze.api.error_handlers import translate
from huntaze.api.models_at_work import ModelsAtWork
from huntaze.api.problems import ProblemError, not_found, problem_response, problems
from huntaze.api.schemas.suggestions import (
    CaptionsRequest,
    CaptionsView,
    SuggestionsRequest,
    SuggestionsView,
    SuggestionView,
)
from huntaze.api.services import Services, ServicesOf
from huntaze.clients.ai.checked import BAD_ANSWER, Answered, ask_again, ask_checked, parses
from huntaze.clients.ai.ports import ModelGateway
from huntaze.models import content_store
from huntaze.pipelines.ai import calls, captions, suggestions
from huntaze.pipelines.ai.calls import ChatReply, ChatRequest
from huntaze.pipelines.ai.captions import Seen
from huntaze.pipelines.ai.replies import UnusableAnswer
from huntaze.pipelines.ai.suggestions import Incoming, Suggestion
from huntaze.pipelines.errors import HuntazeError, Transient

PATIENCE_S = 2.0  # for a limit to pass: somebody waits
_SSE_TYPE = "text/event-stream"

router = APIRouter(prefix="/v1/ai", tags=["ai"])
_log = structlog.get_logger("huntaze.api")


async def _placed(services: ServicesOf, caller: Writer) -> AsyncIterator[ModelsAtWork]:
    """A place among the requests that wait for a model, given back after the response."""
    with services.models.place(caller.creator_id):
        yield services.models


Placed = Annotated[ModelsAtWork, Depends(_placed)]

_BUSY = ("ai.too_many", "8 requests of this creator wait for a model; let one end first.")
_SPENT = ("ai.budget_exhausted", "The budget for AI is used up until 2026-12-01 (UTC). Wait for that day, ...")
_NOT_YET = ("video.not_analysed", "This video has no analysis yet; see its status.")
_EXAMPLE = """event: suggestion
data: {"tone":"warm","text":"So glad you liked it!"}

event: done
data: {"suggestions":[...],"cached":false,"sandbox":false,"cost_micro_usd":212}

"""
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {_SSE_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}
}


@router.post(
    "/suggestions",
    response_model=SuggestionsView,
    responses=_STREAMED | problems(400, 413, 429, s429=_BUSY, s503=_SPENT),
    summary="Suggest replies to a fan",
)
async def suggest(
    body: SuggestionsRequest,
    caller: Writer,
    models: Placed,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> SuggestionsView | StreamingResponse:
    """Three, in different tones. What the same creator has asked within the hour is answered at once, at no cost.

    As events: each `suggestion` as soon as it is written, then `done` with all of them, which counts; or `problem`.
    Where the budget is used up the answer is 503 `ai.budget_exhausted`, whose `Retry-After` leads to the day it resets.
    """
    request, asker = suggestions.build_request(body.to_message()), _asker(caller)
    if not (body.stream or _SSE_TYPE in accept.lower()):
        told = await models.run(partial(_ask, models.gateway, request, asker, suggestions.parse_suggestions))
        return SuggestionsView.of(told.value, told.replies)
    events = _events(models.gateway, request, asker)
    # What fails before the first event is a problem document, as without a stream.
    first = await models.run(partial(next, events))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_as_sse(models, first, events), headers=headers, media_type=_SSE_TYPE)


@router.post(
    "/captions",
    responses=problems(
        *(400, 404, 409, 413, 429),
        s404=("video.not_found", "There is no video with this id."),
        s409=_NOT_YET,
        s429=_BUSY,
        s503=_SPENT,
    ),
    summary="Write captions for a video",
)
async def write_captions(body: CaptionsRequest, services: ServicesOf, caller: Writer, models: Placed) -> CaptionsView:
    """From what its analysis saw. The same question within the hour is answered at once, and costs nothing."""
    told = await models.run(partial(_captions, services, caller, body))
    return CaptionsView.of(told.value, told.replies)


def _captions(services: Services, caller: Caller, body: CaptionsRequest) -> Answered[tuple[captions.Caption, ...]]:
    with services.statements() as session:
        found = content_store.get_task(session, body.video_id, caller.creator_id)
    if found is None:
        raise not_found("video")
    analysis = found[0].analysis
    if analysis is None:
        raise ProblemError(409, *_NOT_YET)
    request = captions.build_request(Seen(analysis, body.count, body.language, body.style))
    parse = partial(captions.parse_captions, count=body.count)
    return _ask(services.models.gateway, request, _asker(caller), parse)


def _asker(caller: Caller) -> calls.Caller:
    """Answers are kept within the creator: what one is told is never given to another."""
    return calls.Caller(caller.creator_id, patience_s=PATIENCE_S)


def _ask(gateway: ModelGateway, request: ChatRequest, asker: calls.Caller, parse: Any) -> Answered[Any]:
    try:
        return ask_checked(gateway, request, asker, parse)
    except UnusableAnswer as error:
        raise _unusable(request, error) from None


def _unusable(request: ChatRequest, error: UnusableAnswer) -> Transient:
    # Not what the model wrote: a fan's words may be in it.
    _log.warning("ai.bad_answer", prompt_version=request.prompt_version, answer_chars=len(error.answer))
    return Transient(BAD_ANSWER, "The model's answer could not be used. Try again.")


def _events(gateway: ModelGateway, request: ChatRequest, asker: calls.Caller) -> Iterator[str]:
    """Server-sent events of one question. Raises what the gateway raises."""
    incoming, reply = Incoming(), None
    for piece in gateway.stream(request, asker, parses(suggestions.parse_suggestions)):
        if isinstance(piece, ChatReply):
            reply = piece
        elif found := incoming.feed(piece):  # a kept answer comes whole: one hop to a thread for all of it
            shown = (SuggestionView(tone=one.tone, text=one.text) for one in found)
            yield "".join(_sse("suggestion", one.model_dump()) for one in shown)
    assert reply is not None
    told = _settled(gateway, request, asker, reply)
    yield _sse("done", SuggestionsView.of(told.value, told.replies).model_dump())


def _settled(
    gateway: ModelGateway, request: ChatRequest, asker: calls.Caller, reply: ChatReply
) -> Answered[tuple[Suggestion, ...]]:
    """What the whole answer comes to; asked again where it comes to nothing."""
    parse = suggestions.parse_suggestions
    try:
        return Answered(parse(reply.text), (reply,))
    except UnusableAnswer as first:
        try:
            return ask_again(gateway, request, asker, parse, first, reply)
        except UnusableAnswer as error:
            raise _unusable(request, error) from None


async def _as_sse(models: ModelsAtWork, first: str, events: Iterator[str]) -> AsyncIterator[str]:
    yield first
    try:
        while (event := await models.run(partial(next, events, None))) is not None:
            yield event
    except HuntazeError as error:
        document = json.loads(bytes(problem_response(translate(error)).body))
        yield _sse("problem", document)


def _sse(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
