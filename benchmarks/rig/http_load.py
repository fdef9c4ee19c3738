"""A load generator in a process of its own: HTTP/1.1 by hand over kept connections, as it shares the cores with
what it measures.

`python -m benchmarks.rig.http_load` reads a plan (JSON) from stdin and writes what it saw to stdout.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import cycle

import uvloop

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Load:
    """What to send. With `rate` (requests a second) an open loop: each request goes out at its time however slow the
    answers are, and its latency counts from that time. Without one, `connections` ask one after the other. `bodies`
    take turns."""

    host: str
    port: int
    path: str
    key: str
    bodies: list[str]
    seconds: float
    connections: int = 16
    rate: float | None = None


@dataclass
class Seen:
    """Seconds of each request that was answered with 202; how often anything else came; how long it all took."""

    latencies: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def run(load: Load) -> Seen:
    """Sends the load from another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rig.http_load"],
        input=json.dumps(asdict(load)).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Seen(**json.loads(done.stdout))


class _Generator:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._errors: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._bodies = cycle(load.bodies)
        self._head = (
            f"POST {load.path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\nAuthorization: Bearer {load.key}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: "
        )

    async def run(self) -> Seen:
        start = time.perf_counter()
        await (self._steady(start) if self._load.rate else self._saturate(start))
        for _, writer in self._free:
            writer.close()
        return Seen(self._latencies, dict(self._errors), time.perf_counter() - start)

    async def _saturate(self, start: float) -> None:
        async def ask() -> None:
            while (now := time.perf_counter()) - start < self._load.seconds:
                await self._request(now)

        await asyncio.gather(*(ask() for _ in range(self._load.connections)))

    async def _steady(self, start: float) -> None:
        rate, under_way = self._load.rate or 1.0, set[asyncio.Task[None]]()
        for n in range(int(rate * self._load.seconds)):
            due = start + n / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self._request(due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _request(self, due: float) -> None:
        body = next(self._bodies)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = (
                    self._free.pop() if self._free else await asyncio.open_connection(self._load.host, self._load.port)
                )
                writer.write(
                    f"{self._head}{os.urandom(16).hex()}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                status = await _answer(reader)
        except (OSError, EOFError, TimeoutError) as error:
            self._errors[type(error).__name__] += 1
            return
        self._free.append((reader, writer))
        if status == "202":
            self._latencies.append(time.perf_counter() - due)
        else:
            self._errors[status] += 1


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length))
    return head.split(" ", 2)[1]


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_Generator(Load(**json.load(sys.stdin))).run()))))
