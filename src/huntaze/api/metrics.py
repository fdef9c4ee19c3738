"""What `/metrics` shows. No label holds a creator, an id or a path as it was asked for."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from huntaze.api.ai_metrics import AiBudgetCollector
from huntaze.api.source_metrics import SourcesCollector
from huntaze.models import job_reads
from huntaze.models.database import Sessions
from huntaze.models.job_kinds import KINDS, QUEUES
from huntaze.models.job_reads import Backlog
from huntaze.models.jobs import LIVE, JobState

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
_TALLY = {
    "enqueued": "Jobs that came into the ledger, counted by the process that wrote them",
    "cancelled": "Jobs that ended as cancelled, counted by the process that ended them",
}


class Metrics:
    """A registry of its own: two apps in one process do not count for one another."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "huntaze_http_requests",
            "Requests answered, by route template, method and status",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "huntaze_http_request_seconds",
            "Seconds until the response started",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.streams = Gauge(
            "huntaze_open_streams", "Event streams that are open, SSE and WebSocket", registry=self._registry
        )
        # By the same names as in the workers: each process counts what it wrote itself.
        self._tally = {
            what: Counter(f"huntaze_jobs_{what}", text, ["kind"], registry=self._registry)
            for what, text in _TALLY.items()
        }
        for counter in self._tally.values():
            for kind in KINDS:  # a rate begins at nought, not at the first one
                counter.labels(kind)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one request."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route, known).observe(seconds)

    def tally(self, what: str, kind: str) -> None:
        """What a transaction of this API has done: `enqueued` or `cancelled`."""
        self._tally[what].labels(kind if kind in KINDS else "unknown").inc()

    def watch_backlog(self, sessions: Sessions) -> None:
        """Adds the gauges of the ledger, which are read at each scrape."""
        self._registry.register(_BacklogCollector(sessions))
        self._registry.register(AiBudgetCollector(sessions))
        self._registry.register(SourcesCollector(sessions))

    def render(self) -> bytes:
        """The text exposition format. Reads the database."""
        return generate_latest(self._registry)


class _BacklogCollector(Collector):
    """Live jobs from the database. While it is away the gauges are left out: a made-up 0 would scale workers away."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def describe(self) -> Iterator[Metric]:
        """Nothing is read at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("huntaze_database_up", "1 if the ledger could be read for this scrape")
        try:
            with self._sessions() as session:
                rows = job_reads.backlog(session)
        except SQLAlchemyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _families(rows)


def _families(rows: Sequence[Backlog]) -> tuple[Metric, ...]:
    """The gauges by queue: the same figures from each API, so a query takes their maximum and never their sum."""
    jobs = GaugeMetricFamily("huntaze_jobs", "Jobs that have not ended", labels=["queue", "state"])
    depth = GaugeMetricFamily("huntaze_queue_depth", "Jobs that are due and have not started", labels=["queue"])
    latency = GaugeMetricFamily(
        "huntaze_queue_latency_seconds",
        "Age of the oldest job that is due and has not started, what is paused left out: what to scale on",
        labels=["queue"],
    )
    unsent = GaugeMetricFamily(
        "huntaze_queue_unsent_seconds", "The same of those that no dispatcher has sent yet", labels=["queue"]
    )
    for queue in sorted({*QUEUES, *(row.queue for row in rows)}):
        own = {row.state: row for row in rows if row.queue == queue}
        for state in LIVE:
            jobs.add_metric([queue, state], own[state].jobs if state in own else 0)
        depth.add_metric([queue], sum(row.due for row in own.values()))
        latency.add_metric([queue], max((row.latency_s for row in own.values()), default=0.0))
        unsent.add_metric([queue], own[JobState.WAITING].latency_s if JobState.WAITING in own else 0.0)
    return jobs, depth, latency, unsent
