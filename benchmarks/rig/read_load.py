"""Readers in a process of their own: HTTP/1.1 by hand over kept connections, each asking one URL after another, as
they share the cores with what they measure.

`python -m benchmarks.rig.read_load` reads a plan (JSON) from stdin and writes what it saw to stdout.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Reads:
    """`creators`: of each connection the ids for which it asks, one after the other."""

    host: str
    port: int
    path: str
    key: str
    creators: list[list[str]]


def run(reads: Reads) -> list[float]:
    """Seconds of each read. Raises CalledProcessError where one was not answered with 200."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rig.read_load"],
        input=json.dumps(asdict(reads)).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    waits: list[float] = json.loads(done.stdout)
    return waits


async def _read(reads: Reads) -> list[float]:
    waits: list[float] = []

    async def one(creators: list[str]) -> None:
        reader, writer = await asyncio.open_connection(reads.host, reads.port)
        for creator in creators:
            begun = time.perf_counter()
            writer.write(
                f"GET {reads.path} HTTP/1.1\r\nHost: {reads.host}:{reads.port}\r\nAuthorization: Bearer {reads.key}\r\n"
                f"X-Creator-Id: {creator}\r\n\r\n".encode()
            )
            async with asyncio.timeout(_TIMEOUT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
            if head.split(" ", 2)[1] != "200":
                raise RuntimeError(f"{head.splitlines()[0]}: {body[:500]!r}")
            waits.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(one(creators) for creators in reads.creators))
    return waits


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_read(Reads(**json.load(sys.stdin))))))
