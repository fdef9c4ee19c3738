"""What a process that runs jobs holds: engine, clients, leases. Built after the fork, once a process."""

import os
import threading
from dataclasses import dataclass

from sqlalchemy import Engine

from huntaze.clients.build import Clients, build_clients
from huntaze.models import tally
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.settings import Settings
from huntaze.tasks.registry import Handler, handlers
from huntaze.worker.job_metrics import JobCounts, JobMetrics
from huntaze.worker.leases import LeaseKeeper


@dataclass(frozen=True)
class Runtime:
    """`statements` commits each statement by itself, which makes a claim one round trip."""

    settings: Settings
    sessions: Sessions
    statements: Engine
    clients: Clients
    leases: LeaseKeeper
    handlers: dict[str, Handler]
    counts: JobCounts


def build_runtime(settings: Settings, *, threads: int = 1, metrics: JobMetrics | None = None) -> Runtime:
    """Builds all of it; opens no connection yet. `threads`: how many jobs the process runs at once; `metrics`: the
    node's, made before it forked."""
    engine = build_engine(
        settings.database.sqlalchemy_url,
        pool_size=max(settings.database.pool_size, threads // 2),
        application="huntaze-worker",
        isolation_level="AUTOCOMMIT",
    )
    sessions = build_sessions(engine.execution_options(isolation_level="READ COMMITTED"))
    counts = (metrics or JobMetrics()).counts()
    tally.watch(sessions, counts.tally)
    return Runtime(
        settings=settings,
        sessions=sessions,
        statements=engine,
        clients=build_clients(settings, BudgetLedger(build_sessions(engine))),
        leases=LeaseKeeper(sessions, settings.worker.lease_s),
        handlers=handlers(),
        counts=counts,
    )


class ProcessRuntime:
    """The runtime of whichever process asks: sockets that were opened before a fork are never used after it."""

    def __init__(self, settings: Settings, threads: int, metrics: JobMetrics | None = None) -> None:
        self._settings, self._threads, self._metrics = settings, threads, metrics
        self._lock = threading.Lock()
        self._built: tuple[int, Runtime] | None = None

    def get(self) -> Runtime:
        with self._lock:
            if self._built is None or self._built[0] != os.getpid():
                self._built = (os.getpid(), build_runtime(self._settings, threads=self._threads, metrics=self._metrics))
            return self._built[1]
