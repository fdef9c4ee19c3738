"""Our own fleet, run like its peers."""

import time
import uuid

from sqlalchemy import text

from benchmarks.rig import backlog
from benchmarks.rig.pace import at_rate
from benchmarks.rig.processes import Rig
from huntaze.models import job_enqueue
from huntaze.models.job_args import Noop
from huntaze.models.job_enqueue import NewJob

# As `huntaze worker` is started for this queue: nodes of one process with threads, one node a core.
THREADS = 4
_WORKER = ("worker", "--queues", "default", "--concurrency", str(THREADS))
NODES = {"dispatcher": ("dispatcher",), "worker-0": _WORKER, "worker-1": _WORKER}


class Fleet:
    """Dispatcher and two worker nodes."""

    name = "fleet"

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        rig.start_nodes(NODES)
        self.throughput(200)  # connections, caches and plans are made
        backlog.settle(rig)

    def throughput(self, jobs: int) -> float:
        """Seconds from the commit of a backlog to the end of its last job."""
        with self._rig.sessions.begin() as session:
            backlog.fill(session, jobs, flow_keys=100)
        start = time.time()
        self._rig.until(lambda: not backlog.left(self._rig), f"{jobs} no-ops", 600, every_s=0.2)
        return backlog.last_end(self._rig) - start

    def latency(self, rate: float, seconds: float) -> list[float]:
        """Seconds from the return of the commit to the start of the attempt, of jobs that come one by one."""
        committed: dict[uuid.UUID, float] = {}

        def send(_: int) -> None:
            with self._rig.sessions.begin() as session:
                job = job_enqueue.enqueue(session, Noop()).job
            committed[job.id] = time.time()

        at_rate(rate, seconds, send)
        self._rig.until(lambda: not backlog.left(self._rig), "the paced no-ops")
        query = text("SELECT job_id, extract(epoch FROM started_at)::float8 AS at FROM job_attempts WHERE attempt = 1")
        with self._rig.engine.connect() as connection:
            started = {row.job_id: row.at for row in connection.execute(query)}
        return [started[job_id] - at for job_id, at in committed.items()]

    def close(self) -> None:
        self._rig.stop(*NODES)


def bulk(rig: Rig, rows: int) -> float:
    """Seconds to enqueue `rows` jobs by one call, commit included; no fleet runs meanwhile."""
    start = time.perf_counter()
    with rig.sessions.begin() as session:
        job_enqueue.enqueue_many(session, [NewJob(Noop()) for _ in range(rows)])
    return time.perf_counter() - start
