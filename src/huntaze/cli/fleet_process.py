"""The processes of a local fleet: how each is started, and how one sees that it is there."""

import asyncio
import http.client
import sys
from collections.abc import Callable

from huntaze.cli.stack.ports import LOOPBACK
from huntaze.cli.stack.service import Probe, Service, Stage
from huntaze.models import node_store
from huntaze.models.database import DatabaseAway, Sessions


def service(name: str, argv: tuple[str, ...], environment: dict[str, str], stage: Stage, ready: Probe) -> Service:
    """`python ARGV...`, ready when the probe says so, within a minute."""
    return Service(
        name=name,
        argv=(sys.executable, *argv),
        env={**environment, "PYTHONUNBUFFERED": "1"},
        ready=ready,
        stage=stage,
        ready_timeout_s=60.0,
        stop_timeout_s=4.0 if stage is Stage.WORK else 2.0,
    )


def answers(port: int, path: str) -> Probe:
    """A probe: an HTTP GET that is answered with 200."""

    def ask() -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return _gently(ask)


def spoke(
    sessions: Sessions, before: frozenset[str], process: str = "dispatcher", queues: tuple[str, ...] = ()
) -> Probe:
    """A probe: a process of this kind, which was not there before, has sent its heartbeat."""

    def ask() -> bool:
        fresh = [one for name, one in nodes(sessions).items() if name not in before]
        return any(one.process == process and one.queues == queues for one in fresh)

    return _gently(ask)


def _gently(ask: Callable[[], bool]) -> Probe:
    """A probe that leaves the cores to those who are starting."""

    async def ready() -> bool:
        await asyncio.sleep(0.1)
        return await asyncio.to_thread(ask)

    return ready


def nodes(sessions: Sessions) -> dict[str, node_store.Heartbeat]:
    """Who sends heartbeats now, by name; nobody while the database is away."""
    try:
        with sessions() as session:
            return {beat.name: beat for beat in node_store.alive(session)}
    except DatabaseAway:
        return {}
