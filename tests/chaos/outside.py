"""The fake outside world, one HTTP server: counts calls of jobs, takes money, answers questions, receives webhooks.

It lies beyond all faults: whoever asks it may die meanwhile, it remembers.
"""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_HICCUP = 10
_LATENCY_S = 0.1  # between what was done and its answer: time to die in


@dataclass(frozen=True)
class Request:
    """A POST. `headers`: by lower-case name."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer in JSON."""

    status: int
    body: bytes = b""


Answer = Callable[[Request], Awaitable[Reply | None]]  # None: hangs up without a word


@dataclass
class OutsideWorld:
    """`answers`: who answers, by the beginning of the path. The rest is jobs' calls, POST {"job", "attempt"}: they are
    counted by attempt, and every tenth is counted and then refused."""

    calls: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)
    answers: dict[str, Answer] = field(default_factory=dict)
    port: int = 0
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            found = next((answer for path, answer in self.answers.items() if request.path.startswith(path)), self._call)
            reply = await found(request)
            await asyncio.sleep(_LATENCY_S)
            if reply is not None:
                head = f"HTTP/1.1 {reply.status} Whatever\r\nContent-Type: application/json\r\n"
                head += f"Content-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + reply.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the caller was killed while it spoke: such a call was not made, or was counted
        finally:
            writer.close()

    async def _call(self, request: Request) -> Reply:
        call = json.loads(request.body)
        self.calls[uuid.UUID(call["job"]), int(call["attempt"])] += 1
        return Reply(503 if self.calls.total() % _HICCUP == 0 else 200)


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split(" ")[1], headers, body)
