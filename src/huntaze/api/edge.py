"""The outermost layer: every request is named, bounded, counted, logged, and answered whatever happens."""

import re
import time
import traceback
import uuid
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huntaze.api.error_handlers import UNEXPECTED
from huntaze.api.metrics import Metrics
from huntaze.api.problems import ProblemError, problem_response

MAX_BODY_BYTES = 64 * 1024  # no body of this API is larger; files go to the object store, not through here
LARGER_BODIES = {
    "/v1/batches": 1024 * 1024,  # a thousand videos by their object keys
    "/v1/analytics/events": 4 * 1024 * 1024,  # five thousand events
}

_log = structlog.get_logger("huntaze.api")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Edge:
    """ASGI middleware. `X-Request-Id` is the caller's if it looks like one, and comes back with the response."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        request = _Exchange(scope, send, self.metrics, asked if _REQUEST_ID.fullmatch(asked) else uuid.uuid4().hex)
        try:
            await BodyLimit(self.app)(scope, receive, request.send)
        except Exception:
            # No `raise`: the server would log it again, without the request's id. And the text of the traceback, not
            # the exception: some renderers add local variables, and among those is the caller's key.
            _log.error("request.failed", request_id=request.id, **request.facts(), traceback=traceback.format_exc())
            if request.status is None:
                await problem_response(UNEXPECTED)(scope, receive, request.send)


class _Exchange:
    """One request and how it was answered. Time is taken until the response starts: a stream never ends."""

    def __init__(self, scope: Scope, send: Send, metrics: Metrics, id: str) -> None:
        self.id = id
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._started = time.perf_counter()

    def facts(self) -> dict[str, Any]:
        return {"method": self._scope["method"], "route": route_template(self._scope), "status": self.status}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self.id
            seconds = time.perf_counter() - self._started
            self._metrics.observe(route_template(self._scope), self._scope["method"], self.status, seconds)
            _log.info("request", request_id=self.id, **self.facts(), ms=round(seconds * 1000, 1))
        await self._send(message)


def route_template(scope: Scope) -> str:
    """`/v1/jobs/{job_id}`, or `unmatched`: never the path itself, of which there are as many as callers like."""
    return str(getattr(scope.get("route"), "path", None) or "unmatched")


class BodyLimit:
    """Refuses bodies over `limit` bytes: by their Content-Length, or, where they come in chunks, once they are."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = LARGER_BODIES.get(scope["path"], self.limit)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > limit:
            detail = f"The body may have {limit} bytes at most."
            # The rest of the body is not read, so the connection is of no more use.
            refusal = ProblemError(413, "request.too_large", detail, headers={"Connection": "close"})
            await problem_response(refusal)(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > limit:
                    raise HTTPException(413, headers={"Connection": "close"})
            return message

        await self.app(scope, bounded, send)
