"""One call to one deployment over HTTP: Azure's v1 route, Azure's older one, any OpenAI-style server.

Keys go into headers of this one request and nowhere else: bodies and headers are never logged or quoted, redirects are
not followed, and no proxy of the environment is asked.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import httpx

from huntaze import tracing
from huntaze.clients.ai.errors import CallFailed, failed
from huntaze.clients.ai.sse import TooLong, data_of
from huntaze.pipelines.ai import errors
from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.chat_format import (
    Answer,
    NotAnAnswer,
    StreamReader,
    build_body,
    is_content_filter,
    read_answer,
)
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.errors import Permanent, Transient

_MOST_BYTES: Final = 4 << 20  # of an answer
_ERROR_BYTES: Final = 64 << 10  # of a refusal
_LONGEST_WAIT_S: Final = 3600.0
_OLDER_VERSION: Final = "2024-05-01-preview"
_CONNECTIONS: Final = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=30.0)

Secret = Callable[[str], str | None]
Token = Callable[[], str]


class HttpWire:
    """Speaks to every deployment. `secret` finds a key by the name of its variable; `tokens` gives bearer tokens by
    that name where they have to be fetched anew (Entra). Safe to share among threads, not across a fork."""

    def __init__(
        self,
        secret: Secret = os.environ.get,
        tokens: dict[str, Token] | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._secret, self._tokens = secret, tokens or {}
        self._http = http or httpx.Client(follow_redirects=False, trust_env=False, limits=_CONNECTIONS)

    def complete(self, deployment: Deployment, request: ChatRequest) -> Answer:
        """Raises CallFailed."""
        end = time.monotonic() + deployment.timeout_s
        body = build_body(deployment, request, stream=False)
        with _translated(), self._post(deployment, body, deployment.timeout_s) as response:
            raw = b"".join(_bounded(response, end, _MOST_BYTES))
            return read_answer(raw, deployment)

    def stream(self, deployment: Deployment, request: ChatRequest) -> Iterator[str | Answer]:
        """The pieces of the text, none of them empty, then the whole. Raises CallFailed."""
        end = time.monotonic() + deployment.timeout_s
        reader = StreamReader(deployment)
        body = build_body(deployment, request, stream=True)
        with _translated(), self._post(deployment, body, deployment.first_byte_s) as response:
            for data in data_of(_bounded(response, end, _MOST_BYTES)):
                if piece := reader.feed(data):
                    yield piece
            rest, answer = reader.close()
            if rest:
                yield rest
            yield answer

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def _post(self, deployment: Deployment, body: dict[str, object], read_s: float) -> Iterator[httpx.Response]:
        """The open answer, if it is a 200. Each read may take `read_s` seconds."""
        url, headers = _url(deployment), self._headers(deployment)
        timeout = httpx.Timeout(read_s, connect=deployment.connect_s, pool=deployment.connect_s)
        call = tracing.span(
            "chat", {"server.address": httpx.URL(url).host, "deployment": deployment.name}, outbound=True
        )
        sent = json.dumps(body, separators=(",", ":")).encode()
        with call, self._http.stream("POST", url, content=sent, headers=headers, timeout=timeout) as response:
            tracing.note({"http.response.status_code": response.status_code})
            if response.status_code != httpx.codes.OK:
                _refused(response, deployment)
            yield response

    def _headers(self, deployment: Deployment) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if deployment.wire == "azure_models":
            headers["extra-parameters"] = "pass-through"  # else it refuses whatever its own version does not know
        if deployment.bearer_env is not None:
            return headers | {"Authorization": f"Bearer {self._bearer(deployment.bearer_env)}"}
        if deployment.api_key_env is not None:
            key = self._found(deployment.api_key_env)
            headers["api-key"] = key
            if deployment.wire == "openai":  # most want a bearer; Azure behind a gateway of one's own the other
                headers["Authorization"] = f"Bearer {key}"
        return headers

    def _bearer(self, name: str) -> str:
        if name in self._tokens:
            try:
                return self._tokens[name]()
            except Exception as error:  # whatever fetches it is not ours
                away = Transient(errors.UNAVAILABLE, "No token for the model's server could be had.")
                raise CallFailed(away, "unavailable", "nothing") from error
        return self._found(name)

    def _found(self, name: str) -> str:
        value = (self._secret(name) or "").strip()
        if not value or not (value.isascii() and value.isprintable()):  # the latter would be quoted by an error
            missing = Permanent(errors.REFUSED, f"The key for the model's server is missing or no key. Set {name}.")
            raise CallFailed(missing, "refused", "nothing")
        return value


def _url(deployment: Deployment) -> str:
    if deployment.wire == "azure_models":
        base = deployment.base_url.removesuffix("/models")
        return f"{base}/models/chat/completions?api-version={_OLDER_VERSION}"
    return f"{deployment.base_url}/chat/completions"


@contextmanager
def _translated() -> Iterator[None]:
    """What goes wrong on the way, as CallFailed. A call that was not sent cost nothing; any other may have."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise failed("unavailable", "nothing") from error
    except httpx.TimeoutException as error:
        raise failed("timeout") from error
    except httpx.TransportError as error:
        raise failed("unavailable") from error
    except (NotAnAnswer, TooLong, httpx.DecodingError) as error:
        raise failed("bad_response") from error


def _bounded(response: httpx.Response, end: float, most: int) -> Iterator[bytes]:
    """The body, within the time (monotonic) and a bound on its size: a server that drips is not waited for."""
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if time.monotonic() > end:
            raise failed("timeout")
        if size > most:
            raise TooLong
        yield chunk


def _refused(response: httpx.Response, deployment: Deployment) -> NoReturn:
    """The one table from the vendor's answers to our errors. Bodies are not quoted: they may echo what was sent."""
    status, wait = response.status_code, retry_after(response.headers)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        limited = Transient(errors.RATE_LIMITED, "The model's server asks to wait.", wait)
        raise CallFailed(limited, "rate_limited", "nothing")
    if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.GATEWAY_TIMEOUT):
        raise failed("timeout")
    if status >= 500:
        raise failed("unavailable", "nothing" if status == httpx.codes.SERVICE_UNAVAILABLE else "unknown", wait)
    if status == httpx.codes.BAD_REQUEST and is_content_filter(_start(response)):
        raise CallFailed(errors.content_filter(), "content_filter", "prompt")  # what was filtered had been read
    hint = f" Check {deployment.api_key_env or deployment.bearer_env or 'its key'}." if status in (401, 403) else ""
    refused = Permanent(errors.REFUSED, f"The model's server refused the request ({status}).{hint}")
    raise CallFailed(refused, "refused", "nothing")


def _start(response: httpx.Response) -> bytes:
    """The beginning of a refusal's body."""
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > _ERROR_BYTES:
            break
    return bytes(raw)


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After`; None if they say nothing usable."""
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(header, "")) * scale
        except ValueError:
            continue
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), _LONGEST_WAIT_S)
    return None
