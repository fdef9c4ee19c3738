"""Plain Celery: the fleet's broker and queues, and a task that does nothing.

`python -m benchmarks.peers.celery_noop` is its worker: prefork, two processes, acknowledged on receipt, no results.
"""

import os
import time
from pathlib import Path

import redis
from celery import Celery
from kombu.entity import Queue

from benchmarks.peers import tally
from benchmarks.rig.pace import at_rate
from benchmarks.rig.processes import Rig
from huntaze.models.job_kinds import QUEUES
from huntaze.settings import Settings, load

TASK = "bench.noop"
_PARKED = "video"  # a queue that the worker here does not listen to
_tallies: dict[int, tally.Tally] = {}


def plain_app(settings: Settings, *, events: bool) -> Celery:
    """Celery as it comes, with the fleet's queues and time limits. `events`: what Flower shows, off in plain Celery."""
    app = Celery("bench", broker=settings.redis.url.get_secret_value(), set_as_current=False)
    app.conf.update(
        broker_transport_options={"global_keyprefix": settings.redis.prefix},
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue="default",
        task_ignore_result=True,
        worker_send_task_events=events,
        task_send_sent_event=events,
        broker_connection_retry_on_startup=True,
    )

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def noop(sent_at: float) -> None:
        if os.getpid() not in _tallies:
            _tallies[os.getpid()] = tally.Tally(Path(os.environ[tally.VARIABLE]))
        _tallies[os.getpid()].note(sent_at)

    return app


class PlainCelery:
    """One worker node of two processes."""

    def __init__(self, rig: Rig, *, events: bool) -> None:
        self.name = "celery_events" if events else "celery"
        self._rig, self._prefix = rig, f"{self.name}:"
        self._tallies = rig.folder / self.name
        self._tallies.mkdir()
        redis_settings = rig.settings.redis.model_copy(update={"prefix": self._prefix})
        self._app = plain_app(rig.settings.model_copy(update={"redis": redis_settings}), events=events)
        variables = {
            "HUNTAZE_REDIS_PREFIX": self._prefix,
            tally.VARIABLE: str(self._tallies),
            "BENCH_EVENTS": "1" if events else "",
        }
        rig.start(self.name, "benchmarks.peers.celery_noop", **variables)
        self.throughput(200)

    def _send(self, count: int, queue: str) -> None:
        with self._app.producer_or_acquire() as producer, producer.batch():
            for _ in range(count):
                self._app.send_task(TASK, args=[time.time()], queue=queue, producer=producer)

    def throughput(self, jobs: int) -> float:
        """Seconds from the moment the messages are in the worker's queue to the last job."""
        goal = self._ran() + jobs
        self._send(jobs, _PARKED)
        client = redis.Redis.from_url(self._rig.settings.redis.url.get_secret_value())
        client.rename(f"{self._prefix}{_PARKED}", f"{self._prefix}default")
        client.close()
        start = time.time()
        self._rig.until(lambda: self._ran() >= goal, f"{jobs} tasks", 600, every_s=0.2)
        return tally.last(self._tallies) - start

    def latency(self, rate: float, seconds: float) -> list[float]:
        """Seconds from the send to the start."""
        before = tally.counts(self._tallies)
        sent = at_rate(rate, seconds, lambda _: self._send(1, "default"))
        goal = sum(before.values()) + sent
        self._rig.until(lambda: self._ran() >= goal, "the paced tasks")
        return tally.latencies(self._tallies, before)

    def bulk(self, rows: int) -> float:
        """Seconds to send `rows` messages in one batch; they are thrown away."""
        start = time.perf_counter()
        self._send(rows, _PARKED)
        spent = time.perf_counter() - start
        client = redis.Redis.from_url(self._rig.settings.redis.url.get_secret_value())
        client.delete(f"{self._prefix}{_PARKED}")
        client.close()
        return spent

    def _ran(self) -> int:
        return sum(tally.counts(self._tallies).values())

    def close(self) -> None:
        self._rig.stop(self.name)
        self._app.close()


if __name__ == "__main__":
    plain_app(load(), events=bool(os.environ["BENCH_EVENTS"])).worker_main(
        ["worker", "--queues=default", "--pool=prefork", "--concurrency=2", "--without-gossip", "--without-mingle"]
    )
