"""What the model's server answers, and what it is taken for. The server is a double over real HTTP semantics."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from huntaze.clients.chat_model import ChatRequest, HttpChatModel
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.setting_groups import AISettings

GOOD = {
    "model": "phi",
    "choices": [{"finish_reason": "stop", "message": {"content": "hello"}}],
    "usage": {"prompt_tokens": 1_000, "completion_tokens": 3},
}


def model(answer: Callable[[httpx.Request], httpx.Response]) -> HttpChatModel:
    settings = AISettings(
        base_url="http://model.test/v1/",
        api_key="top-secret",
        model="phi",
        input_micro_usd_per_million=80_000,
        output_micro_usd_per_million=320_000,
    )
    return HttpChatModel(settings, httpx.Client(transport=httpx.MockTransport(answer)))


def test_a_picture_goes_out_as_data_and_the_cost_comes_back_rounded_up() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=GOOD)

    reply = model(answer).complete(ChatRequest("what is this?", b"\xff\xd8", max_tokens=7))
    body = json.loads(seen[0].content)
    assert str(seen[0].url) == "http://model.test/v1/chat/completions"
    assert body["max_tokens"] == 7
    assert body["messages"][0]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,/9g="
    assert seen[0].headers["api-key"] == "top-secret"
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("hello", 1_000, 3)
    assert reply.cost_micro_usd == 81  # 80 + 0.96, up
    assert not reply.sandbox


def test_the_same_model_elsewhere_is_another_model() -> None:
    here = model(lambda request: httpx.Response(200, json=GOOD))
    there = HttpChatModel(here._settings.model_copy(update={"base_url": "http://127.0.0.1:8010/v1"}))
    assert here.identity != there.identity
    assert "top-secret" not in here.identity
    there.close()


@pytest.mark.parametrize(
    ("response", "error", "code"),
    [
        (httpx.Response(429, headers={"retry-after": "7"}), Transient, "ai.rate_limited"),
        (httpx.Response(503), Transient, "ai.unavailable"),
        (httpx.Response(408), Transient, "ai.unavailable"),
        (httpx.Response(400, json={"error": {"code": "content_filter"}}), Permanent, "ai.content_filter"),
        (httpx.Response(400, json={"error": {"code": "bad"}}), Permanent, "ai.refused"),
        (httpx.Response(401), Permanent, "ai.refused"),
        (httpx.Response(302, headers={"location": "http://evil.test"}), Permanent, "ai.refused"),
        (httpx.Response(200, text="<html>"), Transient, "ai.bad_response"),
        (httpx.Response(200, json={"choices": []}), Transient, "ai.bad_response"),
        (
            httpx.Response(200, json={"choices": [{"finish_reason": "content_filter", "message": {"content": ""}}]}),
            Permanent,
            "ai.content_filter",
        ),
    ],
)
def test_refusals_are_told_apart(response: httpx.Response, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        model(lambda request: response).complete(ChatRequest("hi"))
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_the_wait_is_the_one_that_was_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(Transient) as caught:
        model(lambda request: httpx.Response(429, headers=headers)).complete(ChatRequest("hi"))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("fault", "code"), [(httpx.ConnectError("refused"), "ai.unavailable"), (httpx.ReadTimeout("slow"), "ai.timeout")]
)
def test_a_server_that_is_away_is_worth_another_attempt(fault: Exception, code: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise fault

    with pytest.raises(Transient, match=code):
        model(answer).complete(ChatRequest("hi"))


class Dripping(httpx.SyncByteStream):
    """Sends a little, for ever."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" " * 1000


@pytest.mark.parametrize(("seconds", "code"), [(0.0, "ai.timeout"), (60.0, "ai.bad_response")])
def test_a_server_that_drips_is_bounded_in_time_and_size(seconds: float, code: str) -> None:
    dripping = model(lambda request: httpx.Response(200, stream=Dripping()))
    dripping._settings = dripping._settings.model_copy(update={"timeout_s": seconds})
    with pytest.raises(Transient, match=code):
        dripping.complete(ChatRequest("hi"))
