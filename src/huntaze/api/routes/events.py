"""What happens, as it happens: Server-Sent Events and WebSocket over the same stream."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from anyio import CancelScope
from fastapi import APIRouter, Depends, Header, Query, WebSocket
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from huntaze.api.auth import Caller, Reader, is_live
from huntaze.api.problems import problems
from huntaze.api.schemas.events import EventView
from huntaze.api.services import Services, ServicesOf
from huntaze.api.streams import Stream

RETRY_MS = 2000  # after which an EventSource comes back
POLICY_VIOLATION, GOING_AWAY = 1008, 1001  # RFC 6455, 7.4.1

router = APIRouter(prefix="/v1/events", tags=["events"])

Position = Annotated[int, Query(ge=0, le=2**63 - 1, description="resume behind this position")]


async def _opened(
    services: ServicesOf,
    caller: Reader,
    after: Position | None = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=2**63 - 1, description="resume behind this position; wins over `after`")
    ] = None,
) -> AsyncIterator[Stream]:
    """A started stream, whose place is given back after the response. The header wins over `after`: a browser that
    comes back sends the first URL again, with the position it has reached in the header."""
    with services.streams.opened(caller.creator_id) as stream:
        await stream.start(after if last_event_id is None else last_event_id)
        yield stream


Opened = Annotated[Stream, Depends(_opened)]

_EXAMPLE = """retry: 2000
id: 1041

id: 1042
event: video.analyzed
data: {"position":1042,"type":"video.analyzed","subject_id":"01980a52-03c7-7d02-a1b5-52d1c0e8f3aa",\
"created_at":"2026-11-02T10:30:05Z","data":{"summary":"Two people walk."}}

"""
_SSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`id` is the position, `event` the type, `data` an Event as JSON. Comments keep it alive.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}


@router.get("", response_class=StreamingResponse, responses=_SSE | problems(429), summary="Follow events (SSE)")
async def follow_events(services: ServicesOf, caller: Reader, stream: Opened) -> StreamingResponse:
    """Resumes behind `Last-Event-ID` or `after` without gap or repeat; starts with the next event without either.
    Where events behind that position are gone by age (a week, unless the operators keep them longer), the first event
    is a `stream.gap`, whose data names the last position that is gone; read the state anew.

    Ends when the key does. The WebSocket at `/v1/events/ws` sends the same, each Event as a text message, the first
    of type `stream.opened`; its upgrade request carries the same headers and `after`.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_as_sse(services, caller, stream), headers=headers, media_type="text/event-stream")


async def _as_sse(services: Services, caller: Caller, stream: Stream) -> AsyncIterator[str]:
    # An id without data: a client that is cut off before its first event still knows where it stood.
    yield f"retry: {RETRY_MS}\nid: {stream.position}\n\n"
    if stream.gone_upto is not None:
        yield _sse(EventView.gap(stream.position, stream.gone_upto))
    async for batch in stream.batches(lambda: is_live(services, caller)):
        if batch:
            yield "".join(_sse(EventView.of(event)) for event in batch)
        else:
            yield ": keep-alive\n\n"


def _sse(event: EventView) -> str:
    return f"id: {event.position}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"


@router.websocket("/ws")
async def follow_events_ws(websocket: WebSocket, services: ServicesOf, caller: Reader, stream: Opened) -> None:
    """Messages of the client are ignored; the server's pings keep it alive."""
    await websocket.accept()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, websocket, group.cancel_scope)
            await websocket.send_text(EventView.opening(stream.position).model_dump_json())
            if stream.gone_upto is not None:
                await websocket.send_text(EventView.gap(stream.position, stream.gone_upto).model_dump_json())
            async for batch in stream.batches(lambda: is_live(services, caller)):
                for event in batch:
                    await websocket.send_text(EventView.of(event).model_dump_json())
            if services.streams.closing:
                await websocket.close(GOING_AWAY, "The server is stopping; come back with your last position.")
            else:
                await websocket.close(POLICY_VIOLATION, "The key is expired or revoked.")
            group.cancel_scope.cancel()
    except* WebSocketDisconnect:
        pass  # the client left while something was on its way


async def _until_gone(websocket: WebSocket, scope: CancelScope) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()
