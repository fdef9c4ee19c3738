"""PostgreSQL and Valkey of the trial, each behind a proxy, and how they are killed and started again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import text
from sqlalchemy.engine import make_url

from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.stores import Stores, start_stores
from huntaze.cli.stack.supervisor import Supervisor
from huntaze.models import schema
from huntaze.models.database import Sessions, build_engine, build_sessions
from tests.chaos import spending
from tests.chaos.kinds import EFFECTS
from tests.chaos.proxy import Proxy


@dataclass
class StoresUnderTest:
    """The harness goes to the stores directly (`sessions`), the fleet through the proxies."""

    supervisor: Supervisor
    stores: Stores
    logs: Path
    sessions: Sessions
    postgres_proxy: Proxy
    valkey_proxy: Proxy
    _turns: dict[str, asyncio.Lock] = field(
        default_factory=lambda: {"postgres": asyncio.Lock(), "valkey": asyncio.Lock()}
    )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HUNTAZE_DATABASE_URL": _with_port(self.stores.database_url, self.postgres_proxy.port),
            "HUNTAZE_REDIS_URL": _with_port(self.stores.redis_url, self.valkey_proxy.port),
        }

    async def restart_valkey(self, down_s: float) -> None:
        """kill -9; it keeps nothing on disk, so it comes back empty."""
        assert self.stores.valkey is not None
        async with self._turns["valkey"]:
            os.kill(self.supervisor.main_pid("valkey"), signal.SIGKILL)
            await self.supervisor.stop("valkey")
            await asyncio.sleep(down_s)
            await self.supervisor.start(self.stores.valkey.service())

    async def restart_postgres(self, number: signal.Signals, down_s: float) -> None:
        """SIGINT: "fast", sessions are ended in good order. SIGQUIT: "immediate", as by a crash: it recovers."""
        assert self.stores.postgres is not None
        async with self._turns["postgres"]:
            os.kill(self.supervisor.main_pid("postgres"), number)
            await self.supervisor.stop("postgres")
            await asyncio.sleep(down_s)
            await self.supervisor.start(await asyncio.to_thread(self.stores.postgres.service, self.logs))

    def flush(self) -> None:
        with redis.Redis.from_url(self.stores.redis_url, socket_timeout=5) as connection:
            connection.flushall()


@asynccontextmanager
async def stores_under_test(folder: Path) -> AsyncIterator[StoresUnderTest]:
    """Fresh stores that keep what they committed (PostgreSQL's durable settings), with all tables."""
    with RunDir(folder) as run:
        async with Supervisor(run.logs, lock_fd=run.lock_fd) as supervisor:
            stores = await start_stores(supervisor, run, s3=False, durable=True)
            assert stores.postgres is not None
            assert stores.valkey is not None
            engine = build_engine(stores.database_url, pool_size=4, application="chaos")
            await asyncio.to_thread(schema.upgrade, engine)
            with engine.begin() as connection:
                connection.execute(text(EFFECTS))
                connection.exec_driver_sql(spending.WATCH)
            proxies = Proxy(stores.postgres.port), Proxy(stores.valkey.port)
            for proxy in proxies:
                await proxy.start()
            try:
                yield StoresUnderTest(supervisor, stores, run.logs, build_sessions(engine), *proxies)
            finally:
                for proxy in proxies:
                    proxy.close()
                engine.dispose()


def _with_port(url: str, port: int) -> str:
    return make_url(url).set(port=port).render_as_string(hide_password=False)
