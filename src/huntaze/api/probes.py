"""Whether the stores can be reached, asked on connections of their own so that a full pool does not hide it."""

from collections.abc import Callable
from typing import Literal

import anyio
import redis
import structlog
from anyio import CapacityLimiter, to_thread
from redis.backoff import NoBackoff
from redis.retry import Retry

from huntaze.clients.object_store import ObjectStore
from huntaze.models import event_store
from huntaze.models.database import build_engine, build_sessions
from huntaze.settings import Settings

StoreState = Literal["ok", "unreachable", "timeout"]
TIMEOUT_S = 3.0
_THREADS = 12  # a probe that hangs keeps its thread; further ones then time out instead of piling up

_log = structlog.get_logger("huntaze.api")


class Probes:
    """Opens nothing before the first probe."""

    def __init__(self, settings: Settings, objects: ObjectStore) -> None:
        self._engine = build_engine(
            settings.database.sqlalchemy_url, pool_size=1, connect_timeout_s=2, application="huntaze-api-probes"
        )
        self.sessions = build_sessions(self._engine)
        self._objects = objects
        self._redis = redis.Redis.from_url(
            settings.redis.url.get_secret_value(),
            socket_connect_timeout=1,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),
        )
        self._limiter: CapacityLimiter | None = None

    def close(self) -> None:
        self._redis.close()
        self._engine.dispose()

    def _database(self) -> None:
        with self.sessions() as session:
            event_store.last_position(session)  # a table of ours: the migrations have run

    def _ping(self) -> None:
        self._redis.ping()

    async def check(self) -> dict[str, StoreState]:
        """The state of each store, after TIMEOUT_S seconds at the latest."""
        checks = {"postgresql": self._database, "s3": self._objects.check, "redis": self._ping}
        states: dict[str, StoreState] = dict.fromkeys(checks, "timeout")

        async def run(name: str, probe: Callable[[], None]) -> None:
            states[name] = await self._probe(name, probe)

        with anyio.move_on_after(TIMEOUT_S):
            async with anyio.create_task_group() as group:
                for name, probe in checks.items():
                    group.start_soon(run, name, probe)
        return states

    async def _probe(self, name: str, probe: Callable[[], None]) -> StoreState:
        if self._limiter is None:  # a limiter belongs to the event loop it was made in
            self._limiter = CapacityLimiter(_THREADS)
        try:
            await to_thread.run_sync(probe, abandon_on_cancel=True, limiter=self._limiter)
        except Exception as error:  # whatever a driver raises, the store cannot be used
            _log.warning("probe.failed", store=name, error=type(error).__name__)
            return "unreachable"
        return "ok"
