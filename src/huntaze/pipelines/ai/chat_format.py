"""The chat-completions format that all our models' servers speak: what is sent, and what of the answer is believed."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Literal

from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.ai.think import ThinkFilter, without_thoughts
from huntaze.pipelines.ai.tokens import output_bound

Finish = Literal["stop", "length", "content_filter"]
_SANDBOX = "sandbox-"  # how the stand-in's models are called


class NotAnAnswer(ValueError):
    """What the server sent is in no form that is known."""


@dataclass(frozen=True)
class Usage:
    """Tokens as the server counted them. `output` holds `reasoning`, `input` holds `cached` and `audio`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int | None = None  # not told
    audio: int = 0


@dataclass(frozen=True)
class Answer:
    """One answer, thoughts taken out. `usage` None: the server did not say what is to be paid."""

    text: str
    model: str
    finish: Finish
    usage: Usage | None

    @property
    def sandbox(self) -> bool:
        """No model has answered."""
        return self.model.startswith(_SANDBOX)


def build_body(deployment: Deployment, request: ChatRequest, *, stream: bool) -> dict[str, Any]:
    """The JSON of the request. `max_tokens` always stands in it: what it bounds is reserved."""
    content: str | list[dict[str, Any]] = request.prompt
    if request.image is not None:
        data = base64.b64encode(request.image).decode()
        picture = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}
        content = [{"type": "text", "text": request.prompt}, picture]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    body: dict[str, Any] = {
        **deployment.extra_body,
        "model": deployment.model,
        "messages": messages,
        "max_tokens": output_bound(deployment, request),
        "temperature": request.temperature,
    }
    if request.schema is not None and deployment.structured == "json_schema":
        named = {"name": "answer", "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif request.schema is not None and deployment.structured == "json_object":
        body["response_format"] = {"type": "json_object"}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def read_answer(raw: bytes, deployment: Deployment) -> Answer:
    """A whole answer. Raises NotAnAnswer."""
    body = _object(raw)
    try:
        choice = body["choices"][0]
        written = choice["message"].get("content") or ""
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotAnAnswer("there is no choice in it") from error
    if not isinstance(written, str):
        raise NotAnAnswer("its content is no text")
    text, thought = without_thoughts(written, opened=deployment.opens_thought)
    usage = _with_reasoning(_usage(body.get("usage")), thought, len(text))
    return Answer(text, _model(body, deployment), _finish(choice.get("finish_reason")), usage)


class StreamReader:
    """Puts an answer together from the events of a stream, as they come."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._filter = ThinkFilter(opened=deployment.opens_thought)
        self._text: list[str] = []
        self._model: str | None = None
        self._finish: Finish | None = None
        self._usage: Usage | None = None

    def feed(self, data: str) -> str:
        """The data of one event; returns what of it is shown. Raises NotAnAnswer."""
        body = _object(data.encode())
        if body.get("error"):
            raise NotAnAnswer("it broke off with an error")
        self._model = self._model or _told(body)
        self._usage = _usage(body.get("usage")) or self._usage
        choices = body.get("choices")
        if not isinstance(choices, list) or not choices:  # the prompt's filter results, or the usage at the end
            return ""
        try:
            piece = (choices[0].get("delta") or {}).get("content") or ""
            finish = choices[0].get("finish_reason")
        except AttributeError as error:
            raise NotAnAnswer("its pieces have no form that is known") from error
        if not isinstance(piece, str):
            raise NotAnAnswer("its content is no text")
        if finish is not None:
            self._finish = _finish(finish)
        return self._shown(self._filter.feed(piece))

    def close(self) -> tuple[str, Answer]:
        """What was still held back, and the whole. Raises NotAnAnswer for a stream that broke off."""
        if self._finish is None:
            raise NotAnAnswer("it broke off")
        rest = self._shown(self._filter.close())
        text = "".join(self._text)
        usage = _with_reasoning(self._usage, self._filter.thought_chars, len(text))
        return rest, Answer(text, self._model or self._deployment.model, self._finish, usage)

    def _shown(self, piece: str) -> str:
        self._text.append(piece)
        return piece


def is_content_filter(raw: bytes) -> bool:
    """Whether a refusal (400) is that of the provider's filter for prompts."""
    try:
        error = json.loads(raw)["error"]
        inner = error.get("innererror") or {}
        return error.get("code") == "content_filter" or inner.get("code") == "ResponsibleAIPolicyViolation"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotAnAnswer("it is no JSON") from error
    if not isinstance(body, dict):
        raise NotAnAnswer("it is no JSON object")
    return body


def _told(body: dict[str, Any]) -> str | None:
    model = body.get("model")
    return model[:200] if isinstance(model, str) and model else None


def _model(body: dict[str, Any], deployment: Deployment) -> str:
    return _told(body) or deployment.model


def _finish(reason: object) -> Finish:
    if reason in ("length", "max_tokens"):
        return "length"
    return "content_filter" if reason == "content_filter" else "stop"


def _usage(told: object) -> Usage | None:
    """None where the server did not say it, or not in whole numbers: then the bound is paid."""
    if not isinstance(told, dict):
        return None
    sent, got = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if sent is None or got is None:
        return None
    inputs, outputs = (told.get(f"{name}_tokens_details") for name in ("prompt", "completion"))
    inputs, outputs = (part if isinstance(part, dict) else {} for part in (inputs, outputs))
    return Usage(
        input=sent,
        output=got,
        cached=min(_count(inputs.get("cached_tokens")) or 0, sent),
        reasoning=_count(outputs.get("reasoning_tokens")),
        audio=min(_count(inputs.get("audio_tokens")) or 0, sent),
    )


def _count(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
    return value if whole else None  # type: ignore[return-value]


def _with_reasoning(usage: Usage | None, thought_chars: int, text_chars: int) -> Usage | None:
    """Where a server does not count its thoughts apart, they are taken to be as dense as the answer."""
    if usage is None or usage.reasoning is not None:
        return usage
    share = thought_chars / max(thought_chars + text_chars, 1)
    return Usage(usage.input, usage.output, usage.cached, round(usage.output * share), usage.audio)
