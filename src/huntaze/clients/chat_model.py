"""The port of the models that answer: one OpenAI-style chat completion, text out, pictures allowed in."""

import base64
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from huntaze import tracing
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.setting_groups import AISettings

_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class ChatRequest:
    """One user turn. `image` is a JPEG."""

    prompt: str
    image: bytes | None = None
    max_tokens: int = 1500


@dataclass(frozen=True)
class ChatReply:
    """What came back. `cost_micro_usd`: millionths of a dollar, rounded up. `sandbox`: no model was asked."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    sandbox: bool = False


class ChatModel(Protocol):
    """Raises Transient (`ai.unavailable`, `ai.rate_limited`) and Permanent (`ai.refused`, `ai.content_filter`)."""

    @property
    def identity(self) -> str:
        """Which model is asked, and where: equal for two that would answer alike."""
        ...

    def complete(self, request: ChatRequest) -> ChatReply: ...

    def price(self, input_tokens: int, output_tokens: int) -> int:
        """Micro-USD for so many tokens, rounded up."""
        ...


@dataclass
class ScriptedChatModel:
    """The twin: answers what it was told to."""

    answer: Callable[[ChatRequest], str]
    identity: str = "scripted"

    def complete(self, request: ChatRequest) -> ChatReply:
        return ChatReply(self.answer(request), "scripted", 100, 10, self.price(100, 10), sandbox=True)

    def price(self, input_tokens: int, output_tokens: int) -> int:
        return -(-(80_000 * input_tokens + 320_000 * output_tokens) // 1_000_000)


class HttpChatModel:
    """Any server with `/chat/completions`: Azure AI Foundry's v1 route, vLLM, Ollama, llama.cpp, our sandbox."""

    def __init__(self, settings: AISettings, http: httpx.Client | None = None) -> None:
        self._settings = settings
        key = None if settings.api_key is None else settings.api_key.get_secret_value()
        self._headers = {} if key is None else {"api-key": key, "Authorization": f"Bearer {key}"}
        timeout = httpx.Timeout(settings.timeout_s, connect=5.0)
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)

    @property
    def identity(self) -> str:
        return f"{self._settings.model} at {self._settings.base_url}"

    def complete(self, request: ChatRequest) -> ChatReply:
        url = f"{self._settings.base_url.rstrip('/')}/chat/completions"
        end = time.monotonic() + self._settings.timeout_s
        call = tracing.span("chat", {"server.address": httpx.URL(url).host}, outbound=True)
        try:
            with call, self._http.stream("POST", url, json=self._body(request), headers=self._headers) as response:
                tracing.note({"http.response.status_code": response.status_code})
                body = _read(response, end)
        except httpx.TimeoutException as error:
            raise Transient("ai.timeout", "The model did not answer in time.") from error
        except httpx.TransportError as error:
            raise Transient("ai.unavailable", "The model's server cannot be reached.") from error
        _raise_for(response, body)
        return self._reply(body)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": request.prompt}]
        if request.image is not None:
            data = base64.b64encode(request.image).decode()
            content.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
        return {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": request.max_tokens,
            "temperature": 0,
        }

    def _reply(self, raw: bytes) -> ChatReply:
        try:
            body = json.loads(raw)
            choice, usage = body["choices"][0], body.get("usage") or {}
            text, model = str(choice["message"]["content"] or ""), str(body.get("model") or self._settings.model)
            sent, got = int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Transient("ai.bad_response", "The model's server answered in a form that is not known.") from error
        if choice.get("finish_reason") == "content_filter":
            raise Permanent("ai.content_filter", "The model's provider withheld the answer (content filter).")
        return ChatReply(text, model, sent, got, self.price(sent, got), sandbox=model.startswith("sandbox-"))

    def price(self, input_tokens: int, output_tokens: int) -> int:
        prices = self._settings
        total = input_tokens * prices.input_micro_usd_per_million + output_tokens * prices.output_micro_usd_per_million
        return -(-total // 1_000_000)

    def close(self) -> None:
        self._http.close()


def _read(response: httpx.Response, end: float) -> bytes:
    """The body, within the time (monotonic) and a bound on its size: a server that drips is not waited for."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if time.monotonic() > end:
            raise Transient("ai.timeout", "The model did not answer in time.")
        if len(body) > _MOST_BYTES:
            raise Transient("ai.bad_response", "The model's server sent more than an answer can be.")
    return bytes(body)


def _raise_for(response: httpx.Response, body: bytes) -> None:
    """The one table from the vendor's answers to our errors. Bodies are not quoted: they may echo what was sent."""
    status = response.status_code
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Transient("ai.rate_limited", "The model's server asks to wait.", _retry_after(response))
    if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
        raise Transient("ai.unavailable", f"The model's server answered {status}.", _retry_after(response))
    if status == httpx.codes.BAD_REQUEST and b"content_filter" in body[:4000]:
        raise Permanent("ai.content_filter", "The model's provider refused the picture or the prompt (content filter).")
    hint = " Check HUNTAZE_AI_API_KEY." if status in (401, 403) else ""
    raise Permanent("ai.refused", f"The model's server refused the request ({status}).{hint}")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After`; None if it says nothing usable."""
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = response.headers.get(header, "")
        try:
            seconds = float(value) * scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), 3600.0)
    return None
