"""Events as they come over the wire: JSON or NDJSON, gzip or plain, never more than is agreed."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from huntaze.api.problems import ProblemError, refuse_field
from huntaze.api.schemas.analytics_events import MOST_EVENTS, EventBatch, EventBody

MOST_INFLATED = 8 * 1024 * 1024  # bytes of a body that came compressed
JSON, NDJSON = "application/json", "application/x-ndjson"
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for: a gzip header, and nothing else
_IN_DETAIL = 20


@dataclass(frozen=True)
class Sent:
    """A body as it came; `Edge` has bounded it."""

    body: bytes
    content_type: str
    encoding: str


async def _sent(request: Request) -> Sent:
    content_type = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    return Sent(await request.body(), content_type, request.headers.get("content-encoding", "identity").strip().lower())


SentEvents = Annotated[Sent, Depends(_sent)]

_SCHEMA = {"schema": {"$ref": "#/components/schemas/EventBatch"}}
_LINES = {"schema": {"type": "string", "description": "one event a line, as in `events`"}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {JSON: _SCHEMA, NDJSON: _LINES}}}


def read_events(sent: Sent) -> Sequence[EventBody]:
    """The events. Raises ProblemError or RequestValidationError, which name what is wrong by its place."""
    body = _inflated(sent)
    try:
        if sent.content_type == NDJSON:
            return _lines(body)
        if sent.content_type == JSON:
            return EventBatch.model_validate_json(body).events
    except ValidationError as error:
        raise _refusal(error, ("body",)) from None
    raise refuse_field(422, "request.invalid", "Content-Type", f"Expected {JSON} or {NDJSON}.")


def _inflated(sent: Sent) -> bytes:
    if sent.encoding == "identity":
        return sent.body
    if sent.encoding != "gzip":
        raise refuse_field(422, "request.invalid", "Content-Encoding", "Expected gzip, or none.")
    inflate = zlib.decompressobj(_GZIP)
    try:
        body = inflate.decompress(sent.body, MOST_INFLATED)
    except zlib.error:
        raise ProblemError(400, "request.malformed", "The body is not gzip.") from None
    if inflate.unconsumed_tail:
        raise ProblemError(413, "request.too_large", f"The body may have {MOST_INFLATED} bytes when inflated.")
    if not inflate.eof or inflate.unused_data:
        raise ProblemError(400, "request.malformed", "The body is cut short, or more than one gzip file.")
    return body


def _lines(body: bytes) -> list[EventBody]:
    lines = [line for line in body.split(b"\n", 2 * MOST_EVENTS + 1) if line.strip()]
    if not 0 < len(lines) <= MOST_EVENTS:
        raise refuse_field(422, "request.invalid", "events", f"Expected 1 to {MOST_EVENTS} lines, one event each.")
    events = []
    for number, line in enumerate(lines):
        try:
            events.append(EventBody.model_validate_json(line))
        except ValidationError as error:
            raise _refusal(error, ("body", "events", number)) from None
    return events


def _refusal(error: ValidationError, place: tuple[str | int, ...]) -> Exception:
    found = error.errors(include_url=False, include_input=False)[:_IN_DETAIL]
    if found[0]["type"] == "json_invalid":
        at = f" (event {place[-1]})" if len(place) > 1 else ""
        return ProblemError(400, "request.not_json", f"The body is not JSON: {found[0]['ctx']['error']}{at}.")
    return RequestValidationError([{**one, "loc": (*place, *one["loc"])} for one in found])
