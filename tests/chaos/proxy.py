"""A TCP relay between the fleet and a store, which can be cut, stalled, slowed, or turned half-open."""

import asyncio
import socket
import struct
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass, field

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it
_DROP_ALL = create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one BPF instruction: return 0 bytes
_CHUNK = 65536
# When the server's own keepalive would give up a client that has vanished; longer than its 60 s for idle transactions.
FORGOTTEN_S = 65.0


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    gone: bool = False  # half-open: neither side will hear of the other again


@dataclass
class Proxy:
    """Between `port` and `target_port`, both on loopback."""

    target_port: int
    port: int = 0
    delay_s: float = 0.0
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _refuses: bool = False
    _links: set[_Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """Resets all connections."""
        for link in list(self._links):
            link.client.transport.abort()
            link.server.transport.abort()

    def refuse(self, refuses: bool) -> None:
        """Resets all connections, and new ones too until told otherwise."""
        self._refuses = refuses
        if refuses:
            self.cut()

    def stall(self) -> None:
        """Nothing gets through, nothing is closed, until `flow`."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def vanish(self) -> int:
        """Half-open: packets of the present connections are dropped unacknowledged, as behind a router that forgot
        them. New connections work. Each side has to find out by itself. Returns how many there were."""
        loop = asyncio.get_running_loop()
        present = [link for link in self._links if not link.gone]
        for link in present:
            link.gone = True
            for writer in (link.client, link.server):
                _drop_packets(writer.get_extra_info("socket"))
            loop.call_later(FORGOTTEN_S, link.server.transport.abort)
            loop.call_later(FORGOTTEN_S, link.client.transport.abort)
        return len(present)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()  # the store is down: so is the way to it
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        ways = ((reader, server_writer), (server_reader, writer))
        tasks = [asyncio.create_task(self._relay(link, source, sink)) for source, sink in ways]
        self._tasks.update(tasks)
        await asyncio.wait(tasks)
        self._tasks.difference_update(tasks)
        self._links.discard(link)

    async def _relay(self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, OSError):
            while data := await source.read(_CHUNK):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if link.gone:
                    break
                sink.write(data)
                await sink.drain()
        if link.gone:
            await asyncio.sleep(FORGOTTEN_S)
        sink.close()


def _drop_packets(connection: socket.socket) -> None:
    """The kernel then neither delivers nor acknowledges anything that arrives."""
    program = struct.pack("HL", 1, addressof(_DROP_ALL))
    with suppress(OSError):  # closed meanwhile
        connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
