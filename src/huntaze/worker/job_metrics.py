"""How jobs go, counted where they run. No label holds an id, and a kind only if it is one of ours.

A pool's children count in memory that they share with their parent (`cells.py`), which alone is asked: see
docs/decisions/0008-worker-metrics.md.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import AttemptOutcome
from huntaze.worker.cells import Cells

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_OUTCOMES = tuple(outcome.value for outcome in AttemptOutcome)

_ENQUEUED = ("huntaze_jobs_enqueued", "Jobs that came into the ledger, counted by the process that wrote them")
_CANCELLED = ("huntaze_jobs_cancelled", "Jobs that ended as cancelled, counted by the process that ended them")
_STARTED = ("huntaze_attempts_started", "Attempts that were begun")
_ENDED = ("huntaze_attempts_ended", "Attempts that ended, by outcome; those of a dead worker are the dispatcher's")
_RUN = ("huntaze_attempt_seconds", "Seconds from the claim to the end of an attempt")
_WAIT = ("huntaze_job_wait_seconds", "Seconds from the time that a job was due to its start")

# A kind's part of a row. A histogram has a cell a bucket, one for what is above the last, and the sum.
_BUCKETS = len(_SECONDS) + 1
_AT = {"enqueued": 0, "cancelled": 1, "started": 2}
_AT_OUTCOME = {outcome: 3 + number for number, outcome in enumerate(_OUTCOMES)}
_AT_RUN = 3 + len(_OUTCOMES)
_AT_WAIT = _AT_RUN + _BUCKETS + 1
_WIDTH = _AT_WAIT + _BUCKETS + 1


class JobMetrics(Collector):
    """The counts of all jobs of a node. Made before the pool forks."""

    def __init__(self) -> None:
        self._places = {kind: number * _WIDTH for number, kind in enumerate(KINDS)}
        self._cells = Cells(len(self._places) * _WIDTH)

    def counts(self) -> "JobCounts":
        """For the process that asks. To be asked for after the fork."""
        return JobCounts(self._cells, self._places)

    def describe(self) -> Iterator[Metric]:
        """Known by their names; nothing is read at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        totals = self._cells.totals()
        own = {kind: totals[place : place + _WIDTH] for kind, place in self._places.items()}
        for text, name in ((_ENQUEUED, "enqueued"), (_CANCELLED, "cancelled"), (_STARTED, "started")):
            family = CounterMetricFamily(*text, labels=["kind"])
            for kind, cells in own.items():
                family.add_metric([kind], cells[_AT[name]])
            yield family
        ended = CounterMetricFamily(*_ENDED, labels=["kind", "outcome"])
        for kind, cells in own.items():
            for outcome, at in _AT_OUTCOME.items():
                ended.add_metric([kind, outcome], cells[at])
        yield ended
        for text, at in ((_RUN, _AT_RUN), (_WAIT, _AT_WAIT)):
            histogram = HistogramMetricFamily(*text, labels=["kind"])
            for kind, cells in own.items():
                histogram.add_metric([kind], *_histogram(cells[at : at + _BUCKETS + 1]))
            yield histogram


def _histogram(cells: list[float]) -> tuple[list[tuple[str, float]], float]:
    """(upper bound, how many up to it), and the sum: Prometheus' buckets hold each other."""
    found, below = [], 0.0
    for bound, count in zip([*map(str, _SECONDS), "+Inf"], cells[:-1], strict=True):
        below += count
        found.append((bound, below))
    return found, cells[-1]


class JobCounts:
    """Counts in one process. A kind that this code does not know is not counted."""

    def __init__(self, cells: Cells, places: Mapping[str, int]) -> None:
        self._writer = cells.writer()
        self._places = places

    def tally(self, what: str, kind: str) -> None:
        """What a transaction has done: `enqueued` or `cancelled`."""
        if kind in self._places:
            self._writer.add((self._places[kind] + _AT[what], 1))

    def started(self, kind: str, waited_s: float, before: str | None) -> None:
        """A job was claimed `waited_s` seconds after it was due; `before`: how the attempt before ended.

        An attempt that a stop broke off is counted here, when the job is taken up again: of what a node counts in its
        last moment nobody would ever hear. What crashed or was handed back keeps its place, and in the time since it
        was due is that of the lost attempt: it is no wait.
        """
        if (place := self._places.get(kind)) is None:
            return
        steps = [(place + _AT["started"], 1.0)]
        if before == AttemptOutcome.HANDED_BACK:
            steps.append((place + _AT_OUTCOME[before], 1.0))
        elif before != AttemptOutcome.CRASHED:
            steps += _observe(place + _AT_WAIT, max(waited_s, 0.0))
        self._writer.add(*steps)

    def ended(self, kind: str, outcome: str, seconds: float) -> None:
        """An attempt ended and took so long."""
        if (place := self._places.get(kind)) is not None:
            self._writer.add((place + _AT_OUTCOME[outcome], 1.0), *_observe(place + _AT_RUN, seconds))

    def crashed(self, kind: str) -> None:
        """The lease of an attempt ran out; nobody knows how long it really took."""
        if (place := self._places.get(kind)) is not None:
            self._writer.add((place + _AT_OUTCOME[AttemptOutcome.CRASHED], 1.0))


def _observe(at: int, seconds: float) -> list[tuple[int, float]]:
    return [(at + bisect_left(_SECONDS, seconds), 1.0), (at + _BUCKETS, seconds)]
