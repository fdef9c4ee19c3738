"""What goes over the wire to each kind of server, and what of it is never told."""

import base64
import io
import json
import traceback
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from huntaze import logs, tracing
from huntaze.clients.ai.errors import CallFailed
from huntaze.clients.ai.wire import HttpWire, retry_after
from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.ai.chat_format import Answer
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.errors import Transient

KEY = "sk-top-secret-0123456789"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 10}}
GOOD = {"model": "phi", "choices": [{"finish_reason": "stop", "message": {"content": "hello"}}], "usage": USAGE}
ASK = ChatRequest("vision", "what is this?", system="look", image=b"\xff\xd8", max_tokens=7)


def deployment(**fields: Any) -> Deployment:
    own = {"name": "eyes", "model": "phi", "base_url": "http://model.test/v1", "api_key_env": "AI_KEY"}
    return Deployment.model_validate({**own, **fields})


def wire(answer: Any = GOOD, seen: list[httpx.Request] | None = None, secret: str = KEY, **more: Any) -> HttpWire:
    def respond(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    http = httpx.Client(transport=httpx.MockTransport(respond), follow_redirects=False, trust_env=False)
    return HttpWire({"AI_KEY": secret, "TOKEN": secret}.get, http=http, **more)


@pytest.mark.parametrize(
    ("fields", "url", "headers"),
    [
        (
            {"wire": "azure_v1", "base_url": "https://r.openai.azure.com/openai/v1/"},
            "https://r.openai.azure.com/openai/v1/chat/completions",
            {"api-key": KEY, "authorization": None},
        ),
        (
            {"wire": "azure_v1", "base_url": "https://r.openai.azure.com/openai/v1", "bearer_env": "TOKEN"},
            "https://r.openai.azure.com/openai/v1/chat/completions",
            {"api-key": None, "authorization": f"Bearer {KEY}"},
        ),
        (
            {"wire": "azure_models", "base_url": "https://r.services.ai.azure.com"},
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            {"api-key": KEY, "extra-parameters": "pass-through"},
        ),
        (
            {"wire": "azure_models", "base_url": "https://r.services.ai.azure.com/models/"},
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            {"api-key": KEY},
        ),
        ({}, "http://model.test/v1/chat/completions", {"api-key": KEY, "authorization": f"Bearer {KEY}"}),
        ({"api_key_env": None}, "http://model.test/v1/chat/completions", {"api-key": None, "authorization": None}),
    ],
)
def test_each_kind_of_server_gets_its_address_and_its_header(
    fields: dict[str, Any], url: str, headers: dict[str, str | None]
) -> None:
    seen: list[httpx.Request] = []
    answer = wire(seen=seen).complete(deployment(**fields), ASK)
    assert str(seen[0].url) == url
    assert {name: seen[0].headers.get(name) for name in headers} == headers
    assert (answer.text, answer.model, answer.finish) == ("hello", "phi", "stop")
    assert answer.usage is not None
    assert (answer.usage.input, answer.usage.output, answer.usage.cached) == (1000, 3, 10)


def test_a_token_is_fetched_for_each_call() -> None:
    seen: list[httpx.Request] = []
    fetched = iter(["one", "two"])
    asking = wire(seen=seen, tokens={"TOKEN": lambda: next(fetched)})
    for _ in range(2):
        asking.complete(deployment(bearer_env="TOKEN", api_key_env=None), ASK)
    assert [request.headers["authorization"] for request in seen] == ["Bearer one", "Bearer two"]
    with pytest.raises(CallFailed) as caught:
        asking.complete(deployment(bearer_env="TOKEN", api_key_env=None), ASK)
    assert (caught.value.outcome, caught.value.paid) == ("unavailable", "nothing")


def test_the_request_holds_what_it_must() -> None:
    seen: list[httpx.Request] = []
    schema = {"type": "object"}
    one = deployment(thinking_tokens=100, structured="json_schema", extra_body={"thinking": {"type": "disabled"}})
    wire(seen=seen).complete(one, ChatRequest(**{**vars(ASK), "schema": schema}))
    body = json.loads(seen[0].content)
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("phi", 107, 0.0)
    assert body["thinking"] == {"type": "disabled"}
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["messages"][0] == {"role": "system", "content": "look"}
    picture = body["messages"][1]["content"][1]["image_url"]["url"]
    assert base64.b64decode(picture.removeprefix("data:image/jpeg;base64,")) == ASK.image
    assert "stream" not in body
    events = (
        f"data: {json.dumps({'choices': [{'delta': {'content': 'x'}, 'finish_reason': 'stop'}]})}\n\ndata: [DONE]\n\n"
    )
    list(wire(httpx.Response(200, text=events), seen).stream(deployment(), ASK))
    body = json.loads(seen[1].content)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "response_format" not in body


@pytest.mark.parametrize(
    ("response", "code", "outcome", "paid"),
    [
        (httpx.Response(429, headers={"retry-after": "7"}), "ai.rate_limited", "rate_limited", "nothing"),
        (httpx.Response(503), "ai.unavailable", "unavailable", "nothing"),
        (httpx.Response(500), "ai.unavailable", "unavailable", "unknown"),
        (httpx.Response(408), "ai.timeout", "timeout", "unknown"),
        (
            httpx.Response(400, json={"error": {"code": "content_filter"}}),
            "ai.content_filter",
            "content_filter",
            "prompt",
        ),
        (
            httpx.Response(400, json={"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            "ai.content_filter",
            "content_filter",
            "prompt",
        ),
        (httpx.Response(400, json={"error": {"message": "content_filter"}}), "ai.refused", "refused", "nothing"),
        (httpx.Response(400, text="x" * 200_000), "ai.refused", "refused", "nothing"),
        (httpx.Response(401), "ai.refused", "refused", "nothing"),
        (httpx.Response(302, headers={"location": "http://evil.test"}), "ai.refused", "refused", "nothing"),
        (httpx.Response(200, text="<html>"), "ai.bad_response", "bad_response", "unknown"),
        (httpx.Response(200, text="[" * 100_000), "ai.bad_response", "bad_response", "unknown"),
        (httpx.Response(200, json={"choices": []}), "ai.bad_response", "bad_response", "unknown"),
        (
            httpx.Response(200, json={"choices": [{"message": {"content": 5}}]}),
            "ai.bad_response",
            "bad_response",
            "unknown",
        ),
        (httpx.ConnectError("refused"), "ai.unavailable", "unavailable", "nothing"),
        (httpx.ConnectTimeout("slow"), "ai.unavailable", "unavailable", "nothing"),
        (httpx.ReadTimeout("slow"), "ai.timeout", "timeout", "unknown"),
        (httpx.ReadError("broke"), "ai.unavailable", "unavailable", "unknown"),
    ],
)
def test_failures_are_told_apart(response: Any, code: str, outcome: str, paid: str) -> None:
    seen: list[httpx.Request] = []
    with pytest.raises(CallFailed) as caught:
        wire(response, seen).complete(deployment(), ASK)
    failed = caught.value
    assert (failed.error.code, failed.outcome, failed.paid) == (code, outcome, paid)
    assert len(seen) == 1, "nothing is followed, nothing asked again"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "99999999"}, 3600),
        ({}, None),
    ],
)
def test_the_wait_is_the_one_that_was_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds


class Dripping(httpx.SyncByteStream):
    """Sends a little, for ever."""

    def __init__(self, drop: bytes) -> None:
        self._drop = drop

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self._drop


@pytest.mark.parametrize("drop", [b" " * 5000, b": hello\n\n" * 500, b"data: {}\n\n" * 500])
@pytest.mark.parametrize(("seconds", "code"), [(1e-9, "ai.timeout"), (60.0, "ai.bad_response")])
def test_a_server_that_drips_is_bounded_in_time_and_size(drop: bytes, seconds: float, code: str) -> None:
    for ask in (HttpWire.complete, HttpWire.stream):
        with pytest.raises(CallFailed) as caught:
            list(ask(wire(httpx.Response(200, stream=Dripping(drop))), deployment(timeout_s=seconds), ASK))  # type: ignore[arg-type,operator]
        assert caught.value.error.code == code


def events(*bodies: Any) -> httpx.Response:
    return httpx.Response(200, text="".join(f"data: {json.dumps(body)}\n\n" for body in bodies))


def test_a_stream_is_read_as_azure_sends_it() -> None:
    """First the filter's results without a choice, last the usage without one; a null for a role's content."""
    response = events(
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""},
        {"choices": [{"delta": {"role": "assistant", "content": None}}], "model": "phi"},
        {"choices": [{"delta": {"content": "hel"}}]},
        {"choices": [{"delta": {"content": "lo"}, "finish_reason": None}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    )
    *pieces, answer = wire(response).stream(deployment(), ASK)
    assert pieces == ["hel", "lo"]
    assert isinstance(answer, Answer)
    assert (answer.text, answer.model, answer.finish) == ("hello", "phi", "stop")
    assert answer.usage is not None
    assert answer.usage.output == 3


@pytest.mark.parametrize(
    "bodies",
    [
        ({"choices": [{"delta": {"content": "hel"}}]},),  # no end
        ({"error": {"message": "overloaded"}},),
        ({"choices": [{"delta": {"content": 5}}]},),
        ({"choices": ["x"]},),
        (),
    ],
)
def test_a_stream_that_breaks_off_is_no_answer(bodies: tuple[Any, ...]) -> None:
    with pytest.raises(CallFailed) as caught:
        list(wire(events(*bodies)).stream(deployment(), ASK))
    assert (caught.value.error.code, caught.value.paid) == ("ai.bad_response", "unknown")


@pytest.mark.parametrize("secret", ["", "  ", f"{KEY}\nX-Other: 1", f"{KEY}\u20ac"])
def test_a_key_that_is_none_is_not_sent(secret: str) -> None:
    seen: list[httpx.Request] = []
    with pytest.raises(CallFailed) as caught:
        wire(seen=seen, secret=secret).complete(deployment(), ASK)
    assert "AI_KEY" in caught.value.error.message
    assert caught.value.__cause__ is None
    assert seen == []


def test_a_key_with_the_line_s_end_of_its_file_is_a_key() -> None:
    seen: list[httpx.Request] = []
    wire(seen=seen, secret=f"{KEY}\n").complete(deployment(), ASK)
    assert seen[0].headers["api-key"] == KEY


TROUBLES = [
    httpx.Response(200, json=GOOD),
    httpx.Response(401, json={"error": {"message": f"the key {KEY} is wrong"}}),
    httpx.Response(400, json={"error": {"message": KEY}}),
    httpx.Response(500, text=KEY, headers={"x-echo": KEY}),
    httpx.Response(302, headers={"location": f"http://evil.test/?key={KEY}"}),
    httpx.Response(200, text=KEY),
    httpx.Response(429, text=KEY),
    httpx.ConnectError("refused"),
    httpx.ReadError("broke"),
]


@pytest.mark.parametrize("answer", TROUBLES)
def test_no_key_in_logs_errors_or_traces(answer: Any) -> None:
    exporter, stream = InMemorySpanExporter(), io.StringIO()
    logs.configure("DEBUG", stream)
    tracing.configure("tests", exporter)
    told = [repr(deployment()), str(Transient("a", "b"))]
    asking = wire(answer)
    try:
        asking.complete(deployment(), ASK)
    except CallFailed as failed:
        told += [str(failed), repr(failed), "".join(traceback.format_exception(failed))]
        told += [failed.error.message, repr(failed.error), str(failed.error.detail)]
        logs.logger("tests").warning("failed", exc_info=failed)
    finally:
        tracing.close()
    spans = [span.to_json() for span in exporter.get_finished_spans()]
    assert len(spans) == 1
    for text in (*told, *spans, stream.getvalue(), repr(asking), repr(vars(asking))):
        assert KEY not in text


def test_a_deployment_is_retired_on_its_day() -> None:
    one = deployment(retires_at=date(2026, 7, 13))
    assert [one.retired(date(2026, 7, day)) for day in (12, 13, 14)] == [False, True, True]
