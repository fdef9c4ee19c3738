"""The fake outside world: counts the calls of each attempt. Every tenth call is counted and then refused."""

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field

_HICCUP = 10


@dataclass
class OutsideWorld:
    """`async with asyncio server`: POST {"job", "attempt"}."""

    calls: Counter[tuple[uuid.UUID, int]] = field(default_factory=Counter)
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            call = json.loads(await reader.readexactly(length))
            self.calls[uuid.UUID(call["job"]), int(call["attempt"])] += 1
            refused = self.calls.total() % _HICCUP == 0
            status = b"503 Service Unavailable" if refused else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the caller was killed while it spoke: such a call was not made, or was counted
        finally:
            writer.close()
