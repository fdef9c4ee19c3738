"""What `/metrics` of a worker, a dispatcher and beat shows: one address a process, off unless a port is set."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import signals
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from huntaze.beat_schedule import SCHEDULE, SWEEP
from huntaze.logs import logger
from huntaze.models.job_dispatch import Hint
from huntaze.models.job_kinds import QUEUES
from huntaze.setting_groups import WorkerSettings
from huntaze.worker.job_metrics import JobMetrics

_log = logger(__name__)
_ROUND_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def serve(settings: WorkerSettings, registry: CollectorRegistry) -> None:
    """Answers on the process's metrics port, if it has one, from a thread. A port that is taken costs the figures, not
    the work."""
    if not settings.metrics_port:
        return
    try:
        server, _ = start_http_server(settings.metrics_port, settings.metrics_host, registry)
    except OSError as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        _log.warning("no metrics: the address cannot be had", address=where, detail=str(error))
        return
    # A child that held the socket too would keep the port from the node that follows this one.
    os.register_at_fork(after_in_child=server.socket.close)


def registry_of(jobs: JobMetrics) -> CollectorRegistry:
    """A registry of its own: two nodes in one process do not count for one another."""
    registry = CollectorRegistry()
    registry.register(jobs)
    return registry


def node_registry(jobs: JobMetrics, slots: int) -> CollectorRegistry:
    """Of a worker node: the counts of its jobs, and how busy it is by what its main process knows."""
    from celery.worker import state  # the dispatcher and beat start without it

    registry = registry_of(jobs)
    running = Gauge("huntaze_worker_running", "Jobs that this node works on", registry=registry)
    running.set_function(lambda: len(state.active_requests))
    Gauge("huntaze_worker_slots", "Jobs that this node can work on at once", registry=registry).set(slots)
    return registry


class DispatcherMetrics:
    """What a dispatcher counts."""

    def __init__(self) -> None:
        jobs = JobMetrics()
        self.registry = registry_of(jobs)
        self.jobs = jobs.counts()
        self._sent = Counter("huntaze_hints_sent", "Hints sent to the broker", ["queue"], registry=self.registry)
        self._again = Counter(
            "huntaze_hints_sent_again", "Hints that the broker had lost", ["queue"], registry=self.registry
        )
        self._round = Histogram(
            "huntaze_dispatcher_round_seconds", "One round", buckets=_ROUND_SECONDS, registry=self.registry
        )
        self._last = Gauge(
            "huntaze_dispatcher_last_round_timestamp_seconds",
            "When a round last came to its end",
            registry=self.registry,
        )
        for queue in QUEUES:  # a rate begins at nought, not at the first loss
            self._sent.labels(queue), self._again.labels(queue)

    @contextmanager
    def round(self) -> Iterator[None]:
        """Times a round; one that was broken off by a store that is away is none."""
        begun = time.perf_counter()
        yield
        self._round.observe(time.perf_counter() - begun)
        self._last.set_to_current_time()

    def sent(self, hints: Sequence[Hint], *, again: bool = False) -> None:
        """These hints are with the broker now. `again`: it had lost them."""
        for queue in {hint.queue for hint in hints}:
            (self._again if again else self._sent).labels(queue).inc(sum(hint.queue == queue for hint in hints))


class BeatMetrics:
    """What beat counts: when each entry of the schedule was last sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._fired = Gauge(
            "huntaze_beat_last_firing_timestamp_seconds",
            "When beat last sent an entry of the schedule; the clock makes the jobs, and makes up for what is late",
            ["entry"],
            registry=self.registry,
        )
        signals.after_task_publish.connect(self._published, weak=False)

    def _published(self, body: tuple[list[str], *tuple[object, ...]], **_: object) -> None:
        entry = body[0][0] if body[0] else ""
        if entry == SWEEP or entry in SCHEDULE:
            self._fired.labels(entry).set_to_current_time()
