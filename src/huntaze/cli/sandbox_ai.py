"""A stand-in for the models' server on a developer's machine: same HTTP, no model. It is told to misbehave behind the
model's name (`pipelines/ai/switches.py`), and whatever it says says that no model has.

`python -m huntaze.cli.sandbox_ai --port 8010`
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from huntaze.cli.sandbox_ai_picture import answer, image_tokens, read_picture
from huntaze.cli.sandbox_ai_text import SAYS, answer_text
from huntaze.pipelines.ai.switches import HANG_S, Calls, aloud, status_of

VISION, TEXT = "sandbox-vision", "sandbox-text"
_PATHS = ("/v1/chat/completions", "/openai/v1/chat/completions", "/models/chat/completions")


def build_app() -> Starlette:
    """The server: chat completions where OpenAI and Azure have them, and `GET /healthz`."""
    calls = Calls()

    async def complete(request: Request) -> Response:
        try:
            body = await request.json()
            switches = calls.in_force(str(body["model"]))
            return await _troubled(switches) or await _answered(body, switches)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            return JSONResponse({"error": {"code": "bad_request", "message": str(error)}}, 400)

    health = Route("/healthz", lambda request: JSONResponse({"status": "ok", "model": VISION}))  # noqa: ARG005
    return Starlette(routes=[health, *(Route(path, complete, methods=["POST"]) for path in _PATHS)])


async def _troubled(switches: dict[str, str]) -> Response | None:
    """What it was told to answer instead of an answer."""
    await asyncio.sleep(HANG_S if "hang" in switches else int(switches.get("latency", 0)) / 1000)
    if "prompt_filter" in switches:
        filtered = {"code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}
        return JSONResponse({"error": {"message": f"{SAYS} It was told to refuse.", **filtered}}, 400)
    if (status := status_of(switches)) == 302:
        return RedirectResponse("/healthz", 302)
    if status is not None:
        wait = switches[str(status)]
        headers = {"retry-after-ms": wait, "retry-after": str(-(-int(wait) // 1000))} if wait else {}
        return JSONResponse({"error": {"code": str(status), "message": SAYS}}, status, headers)
    return PlainTextResponse(f"<html>{SAYS}</html>") if "not_json" in switches else None


async def _answered(body: dict[str, Any], switches: dict[str, str]) -> Response:
    prompt, pictures = _read(body)
    model, sent = TEXT, len(prompt) // 4
    if pictures:
        pixels = read_picture(pictures[0])
        text = json.dumps(await run_in_threadpool(answer, pixels))
        model, sent = VISION, sent + image_tokens(pixels)
    else:
        asked = body.get("response_format") or {}
        text = answer_text(prompt, (asked.get("json_schema") or {}).get("schema"))
    text = aloud(SAYS if "bad_answer" in switches else text, switches)
    finish = "stop"
    if "cut" in switches:
        text, finish = text[: len(text) // 2], "length"
    if "output_filter" in switches:
        text, finish = "", "content_filter"
    usage = None if "no_usage" in switches else {"prompt_tokens": sent, "completion_tokens": max(len(text) // 4, 1)}
    if body.get("stream"):
        told = usage if (body.get("stream_options") or {}).get("include_usage") else None
        return StreamingResponse(_events(model, text, finish, told, switches), media_type="text/event-stream")
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    whole = {"id": "sandbox", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}
    if "drop" in switches:
        return StreamingResponse(_dropped(json.dumps(whole)), media_type="application/json")
    return JSONResponse(whole)


def _read(body: dict[str, Any]) -> tuple[str, list[str]]:
    """All words of the request, and its pictures' URLs: at most one."""
    words, urls = list[str](), list[str]()
    for message in body["messages"]:
        content = message["content"]
        parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words += [str(part["text"]) for part in parts if part["type"] == "text"]
        urls += [str(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
    if len(urls) > 1:
        raise ValueError("send one image at most")
    return " ".join(words), urls


async def _events(
    model: str, text: str, finish: str, usage: dict[str, int] | None, switches: dict[str, str]
) -> AsyncIterator[str]:
    """The answer as server-sent events, a few characters each: tags and words are cut anywhere."""

    def event(delta: dict[str, str], reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({'model': model, 'choices': [choice], 'usage': None})}\n\n"

    yield event({"role": "assistant", "content": ""}, None)
    for at in range(0, len(text), 5):
        await asyncio.sleep(int(switches.get("slow", 0)) / 1000)
        if "drop" in switches and at > len(text) // 2:
            raise ConnectionError("as it was told")
        yield event({"content": text[at : at + 5]}, None)
    yield event({}, finish)
    if usage is not None:
        yield f"data: {json.dumps({'model': model, 'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"


async def _dropped(text: str) -> AsyncIterator[str]:
    yield text[: len(text) // 2]
    raise ConnectionError("as it was told")


def main() -> None:
    """Serves on loopback until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    # A dropped connection is logged as a fault of the server's otherwise.
    uvicorn.run(build_app(), host="127.0.0.1", port=parser.parse_args().port, log_level="critical")


if __name__ == "__main__":
    main()
