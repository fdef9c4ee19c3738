"""Start the stores that are not pointed elsewhere: for `huntaze up`, and for the tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huntaze.cli.stack.credentials import load_or_create
from huntaze.cli.stack.errors import ServiceFailed
from huntaze.cli.stack.ports import HeldPort, is_free
from huntaze.cli.stack.postgres import Postgres
from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.s3 import REGION, S3
from huntaze.cli.stack.supervisor import Supervisor, all_or_first_error
from huntaze.cli.stack.valkey import Valkey

PORT_ATTEMPTS = 4
T = TypeVar("T")


@dataclass(frozen=True)
class S3Access:
    """What an S3 client needs to reach the embedded server; addressing is by path."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str = REGION


@dataclass(frozen=True)
class Stores:
    """Where the embedded stores are. Asking for one that was not started raises `LookupError`."""

    postgres: Postgres | None
    valkey: Valkey | None
    s3_server: S3 | None

    @property
    def database_url(self) -> str:
        return _started(self.postgres, "postgres").url

    @property
    def redis_url(self) -> str:
        return _started(self.valkey, "valkey").url

    @property
    def s3(self) -> S3Access:
        server = _started(self.s3_server, "s3")
        return S3Access(server.endpoint_url, server.credentials.s3_access_key, server.credentials.s3_secret_key)


async def start_stores(
    supervisor: Supervisor,
    run: RunDir,
    *,
    postgres: bool = True,
    valkey: bool = True,
    s3: bool = True,
    durable: bool = True,
    preferred_ports: Mapping[str, int] | None = None,
) -> Stores:
    """Start the chosen ones at once and return when all answer. Raises `ServiceFailed`; `supervisor.stop()` stops them.

    `preferred_ports` is by service name (`ports.DEFAULT_PORTS`); where it is taken, or none is given, another is found.
    """
    ports, credentials = preferred_ports or {}, load_or_create(run.path)
    found: dict[str, Any] = dict.fromkeys(("postgres", "valkey", "s3_server"))

    async def start_postgres(port: int) -> None:
        server = Postgres(run.path / "postgres", port, credentials, durable)
        await supervisor.start(await asyncio.to_thread(server.service, run.logs))
        await asyncio.to_thread(server.create_database)
        found["postgres"] = server

    async def start_valkey(port: int) -> None:
        server = Valkey(run.path / "valkey", port, credentials)
        await supervisor.start(server.service())
        found["valkey"] = server

    async def start_s3(port: int) -> None:
        server = S3(run.path / "s3", port, credentials)
        await supervisor.start(server.service())
        found["s3_server"] = server

    starts = {"postgres": start_postgres, "valkey": start_valkey, "s3": start_s3}
    wanted = {"postgres": postgres, "valkey": valkey, "s3": s3}
    await all_or_first_error(
        *(_on_a_port(supervisor, name, starts[name], ports.get(name)) for name in starts if wanted[name])
    )
    return Stores(**found)


@contextmanager
def embedded_stores(
    data_dir: Path, *, postgres: bool = True, valkey: bool = True, s3: bool = True, durable: bool = False
) -> Iterator[Stores]:
    """Stores on free ports, stopped on leaving; several may run side by side in different folders.

    For tests, and so without fsync unless asked for. To be called where no event loop runs. Raises `ServiceFailed`,
    and `AlreadyRunning` when the folder is in use.
    """
    with RunDir(data_dir) as run, asyncio.Runner() as runner:
        supervisor = Supervisor(run.logs, lock_fd=run.lock_fd)
        try:
            yield runner.run(start_stores(supervisor, run, postgres=postgres, valkey=valkey, s3=s3, durable=durable))
        finally:
            runner.run(supervisor.stop())


async def _on_a_port(
    supervisor: Supervisor, name: str, start: Callable[[int], Awaitable[None]], preferred: int | None
) -> None:
    """Start on the preferred port or any other; once more on another when somebody was faster."""
    for left in reversed(range(PORT_ATTEMPTS)):
        with HeldPort(preferred) as port:
            try:
                return await start(port.number)
            except ServiceFailed:
                await supervisor.stop(name)
                port.release()
                if is_free(port.number) or not left:
                    raise
                preferred = None


def _started(server: T | None, name: str) -> T:
    if server is None:
        raise LookupError(f"{name} is not embedded here")
    return server
