"""Procrastinate on the same PostgreSQL.

`python -m benchmarks.peers.procrastinate_noop` is one of its worker processes.
"""

import asyncio
import time

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from sqlalchemy import text

from benchmarks.rig.pace import at_rate
from benchmarks.rig.processes import Rig
from huntaze.settings import load

TASK = "bench.noop"
CONCURRENCY = 10
_WORKERS = ("procrastinate-1", "procrastinate-2")
_LEFT = text("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'default' AND status IN ('todo', 'doing')")
_LAST = text("SELECT extract(epoch FROM max(at))::float8 FROM procrastinate_events WHERE type = 'succeeded'")
_STARTED = text("""
    SELECT job_id, extract(epoch FROM min(at))::float8 AS at FROM procrastinate_events
    WHERE type = 'started' GROUP BY job_id
""")


class Procrastinate:
    """Two worker processes with ten jobs at once each; its default is one."""

    name = "procrastinate"

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._app = App(connector=SyncPsycopgConnector(conninfo=rig.settings.database.libpq_url))
        self._app.open()
        self._app.schema_manager.apply_schema()
        self._app.task(name=TASK)(noop)
        for worker in _WORKERS:
            rig.start(worker, "benchmarks.peers.procrastinate_noop")
        self.throughput(200)
        with rig.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE) procrastinate_jobs, procrastinate_events"))

    def throughput(self, jobs: int) -> float:
        """Seconds from the commit of a backlog to the end of its last job."""
        self._defer(jobs, "default")
        start = time.time()
        self._rig.until(lambda: not self._left(), f"{jobs} of procrastinate's jobs", 600, every_s=0.2)
        with self._rig.engine.connect() as connection:
            return float(connection.execute(_LAST).scalar_one()) - start

    def _defer(self, count: int, queue: str) -> None:
        self._app.configure_task(TASK, queue=queue).batch_defer(*({} for _ in range(count)))

    def _left(self) -> int:
        with self._rig.engine.connect() as connection:
            return int(connection.execute(_LEFT).scalar_one())

    def latency(self, rate: float, seconds: float) -> list[float]:
        """Seconds from the return of the commit to the start."""
        committed: dict[int, float] = {}

        def send(_: int) -> None:
            job_id = self._app.configure_task(TASK, queue="default").defer()
            committed[job_id] = time.time()

        at_rate(rate, seconds, send)
        self._rig.until(lambda: not self._left(), "the paced jobs")
        with self._rig.engine.connect() as connection:
            started = {row.job_id: row.at for row in connection.execute(_STARTED)}
        return [started[job_id] - at for job_id, at in committed.items()]

    def bulk(self, rows: int) -> float:
        """Seconds to defer `rows` jobs in one batch, into a queue that nobody listens to."""
        start = time.perf_counter()
        self._defer(rows, "parked")
        return time.perf_counter() - start

    def close(self) -> None:
        self._rig.stop(*_WORKERS)
        self._app.close()


async def noop() -> None:
    """Nothing."""


def _work() -> None:
    app = App(connector=PsycopgConnector(conninfo=load().database.libpq_url))
    app.task(name=TASK)(noop)

    async def serve() -> None:
        async with app.open_async():
            await app.run_worker_async(queues=["default"], concurrency=CONCURRENCY)

    asyncio.run(serve())


if __name__ == "__main__":
    _work()
