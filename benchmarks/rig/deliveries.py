"""A receiver of webhooks on this machine, endpoints there, and nodes that tell them."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from sqlalchemy import text

from benchmarks.peers.fleet import NODES
from benchmarks.rig import billing_rows
from benchmarks.rig.processes import Rig
from huntaze.cli.stack.ports import LOOPBACK
from huntaze.models import event_store, webhook_deliveries, webhook_store
from huntaze.pipelines.webhooks.signing import Keyring

ENDPOINTS = 50  # one a creator
_KEY = "the key of a benchmark, of 32 bytes or more"
_CREATORS = text("""
    INSERT INTO users (id, handle, time_zone, plan)
    SELECT uuidv7(), 'creator-' || n, 'UTC', 'free' FROM generate_series(1, :rows) AS n RETURNING id
""")
# Of subjects of their own: none has to wait for another.
_EVENTS = text("""
    INSERT INTO events (id, creator_id, type, subject_id, data)
    SELECT uuidv7(), creator_id, 'video.analyzed', uuidv7(), '{"shots": 12, "seconds": 61.5}'
    FROM webhook_endpoints CROSS JOIN generate_series(1, cast(:each AS int)) AS n ORDER BY n, creator_id
""")
_TOLD = text("SELECT count(*) FROM webhook_deliveries WHERE state = 'delivered'")
_LAST = text("SELECT extract(epoch FROM max(ended_at))::float8 FROM job_attempts")


@dataclass(frozen=True)
class Told:
    """`placed_s`: of positions and deliveries, before anybody sends; `told_s`: from the event's commit to the end of
    the last delivery's job, with dispatcher and nodes."""

    events: int
    placed_s: float
    told_s: float


def tell(rig: Rig, events: int) -> Told:
    """So many events, fanned out by this process; then as many by the fleet, which sends both at once."""
    billing_rows.clear(rig)
    rig.environment |= {"HUNTAZE_WEBHOOKS_KEY": _KEY, "HUNTAZE_WEBHOOKS_INSECURE": "true"}
    with receiver() as url:
        _endpoints(rig, url)
        placed_s = _fan_out(rig, events)
        _empty(rig)
        rig.start_nodes(NODES)
        try:
            _emitted(rig, ENDPOINTS)  # connections, caches and plans are made
            begun = _emitted(rig, events)
            with rig.engine.connect() as connection:
                ended = float(connection.execute(_LAST).scalar_one())
        finally:
            rig.stop(*NODES)
    return Told(events, placed_s, ended - begun)


def _endpoints(rig: Rig, url: str) -> None:
    keys = Keyring(_KEY.encode())
    with rig.sessions.begin() as session:
        for creator_id in session.scalars(_CREATORS, {"rows": ENDPOINTS}).all():
            webhook_store.create(session, keys, url, ["*"], creator_id=creator_id)


def _fan_out(rig: Rig, events: int) -> float:
    with rig.sessions.begin() as session:
        session.execute(_EVENTS, {"each": events // ENDPOINTS})
    begun, placed = time.perf_counter(), 1
    while placed:
        with rig.sessions.begin() as session:
            placed = webhook_deliveries.place(session)
    return time.perf_counter() - begun


def _empty(rig: Rig) -> None:
    with rig.engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, job_attempts, events, webhook_deliveries CASCADE"))


def _emitted(rig: Rig, events: int) -> float:
    """Returns when all of them have been told, and when they were committed (seconds since 1970)."""
    with rig.engine.connect() as connection:
        before = int(connection.execute(_TOLD).scalar_one())
    with rig.sessions.begin() as session:
        session.execute(_EVENTS, {"each": events // ENDPOINTS})
        event_store.wake_placer(session)
    begun = time.time()

    def all_told() -> bool:
        with rig.engine.connect() as connection:
            return int(connection.execute(_TOLD).scalar_one()) >= before + events

    rig.until(all_told, f"{events} deliveries", 300, every_s=0.2)
    return begun


@contextmanager
def receiver() -> Iterator[str]:
    """The URL of a server, a process of its own, that answers each POST with 204 and hangs up."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://{LOOPBACK}:{ours.recv()}/in"
    finally:
        process.terminate()
        process.join()


def _serve(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, LOOPBACK, 0, backlog=512)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    writer.close()
    await writer.wait_closed()
