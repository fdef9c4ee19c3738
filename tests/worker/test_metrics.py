"""What is counted, and by whom. What a real pool does with it is in tests/acceptance/test_metrics.py."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import billiard
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError as BrokerAway
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huntaze.models import job_dispatch, job_enqueue, job_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Hint, Turns
from huntaze.models.job_kinds import KINDS
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext, Snooze
from huntaze.worker import metrics
from huntaze.worker.app import build_app
from huntaze.worker.base import run_job
from huntaze.worker.cells import Cells
from huntaze.worker.job_metrics import JobMetrics
from huntaze.worker.metrics import BeatMetrics, DispatcherMetrics, registry_of
from huntaze.worker.runtime import Runtime, build_runtime

Handler = Callable[[JobContext, Noop], None]


def figures(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """{(name, label values in the order of their names): value}."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = (sample for family in families for sample in family.samples)
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


@pytest.fixture
def jobs() -> JobMetrics:
    return JobMetrics()


@pytest.fixture
def counting(settings: Settings, sessions: Sessions, jobs: JobMetrics) -> Iterator[Runtime]:
    """A runtime that counts where the test can see it."""
    built = build_runtime(settings, metrics=jobs)
    yield built
    built.sessions.kw["bind"].dispose()


def run(runtime: Runtime, handler: Handler) -> None:
    with runtime.sessions.begin() as session:
        job_dispatch.promote(session)
        hints = job_dispatch.take_due(session, "default", 10, {"noop": 1}, Turns()).hints
    for hint in hints:
        run_job(replace(runtime, handlers={"noop": handler}), "here", hint.kind, hint.job_id)


def failing(error: Exception) -> Handler:
    def handler(ctx: JobContext, args: Noop) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (lambda ctx, args: None, "succeeded"),
        (failing(Transient("test.shaky", "again", 0.0)), "retried"),
        (failing(Permanent("test.bad", "never")), "failed"),
        (failing(Snooze(60)), "snoozed"),
        (failing(ZeroDivisionError()), "retried"),
    ],
)
def test_each_attempt_is_counted_as_it_ended(
    counting: Runtime, jobs: JobMetrics, handler: Handler, outcome: str
) -> None:
    with counting.sessions.begin() as session:
        job_enqueue.enqueue(session, Noop())
    run(counting, handler)
    seen = figures(registry_of(jobs))
    assert seen["huntaze_jobs_enqueued_total", "noop"] == 1
    assert seen["huntaze_attempts_started_total", "noop"] == 1
    outcomes = {key[2]: value for key, value in seen.items() if key[:2] == ("huntaze_attempts_ended_total", "noop")}
    assert {name for name, value in outcomes.items() if value} == {outcome}
    assert seen["huntaze_attempt_seconds_count", "noop"] == 1
    assert 0 < seen["huntaze_attempt_seconds_sum", "noop"] < 30


def test_a_cancel_is_counted_where_it_comes_true(counting: Runtime, jobs: JobMetrics) -> None:
    with counting.sessions.begin() as session:
        waiting, held = (job_enqueue.enqueue(session, Noop()).job for _ in range(2))
        job_store.cancel(session, waiting.id)

    def stopped(ctx: JobContext, args: Noop) -> None:
        with counting.sessions.begin() as session:
            job_store.cancel(session, held.id)

    run(counting, stopped)
    seen = figures(registry_of(jobs))
    assert seen["huntaze_jobs_cancelled_total", "noop"] == 2
    assert seen["huntaze_attempts_ended_total", "noop", "cancelled"] == 1


def test_what_was_not_committed_is_not_counted(counting: Runtime, jobs: JobMetrics) -> None:
    with counting.sessions() as session:
        job_enqueue.enqueue(session, Noop())
        session.rollback()
        session.commit()
    with counting.sessions.begin() as session:
        with session.begin_nested():
            job_enqueue.enqueue(session, Noop(), dedupe_key="one")
        assert not job_enqueue.enqueue(session, Noop(), dedupe_key="one").created
        assert figures(registry_of(jobs))["huntaze_jobs_enqueued_total", "noop"] == 0, "not yet"
    assert figures(registry_of(jobs))["huntaze_jobs_enqueued_total", "noop"] == 1


def test_the_wait_is_from_due_to_start(sessions: Sessions, counting: Runtime, jobs: JobMetrics) -> None:
    with sessions.begin() as session:
        late = job_store.db_now(session).replace(year=2020)
        job_enqueue.enqueue(session, Noop())
        session.get_one(type(job := job_enqueue.enqueue(session, Noop()).job), job.id).run_at = late
    run(counting, lambda ctx, args: None)
    seen = figures(registry_of(jobs))
    assert seen["huntaze_job_wait_seconds_bucket", "noop", "300.0"] == 1
    assert seen["huntaze_job_wait_seconds_bucket", "noop", "+Inf"] == 2
    assert seen["huntaze_job_wait_seconds_sum", "noop"] > 365 * 86400


@given(st.lists(st.floats(0, 1000, allow_nan=False), max_size=30))
def test_a_histogram_holds_each_second_once(seconds: list[float]) -> None:
    counted = JobMetrics()
    counts = counted.counts()
    for one in seconds:
        counts.ended("noop", "succeeded", one)
    seen = figures(registry_of(counted))
    buckets = {key[2]: value for key, value in seen.items() if key[:2] == ("huntaze_attempt_seconds_bucket", "noop")}
    assert buckets == {bound: sum(one <= float(bound) for one in seconds) for bound in buckets}
    assert seen["huntaze_attempt_seconds_sum", "noop"] == pytest.approx(sum(seconds))


def test_only_our_kinds_become_labels(jobs: JobMetrics) -> None:
    counts = jobs.counts()
    counts.started("made.up", 1.0, None)
    counts.ended("made.up", "succeeded", 1.0)
    counts.crashed("made.up")
    counts.tally("enqueued", "made.up")
    labels = {key[1] for key in figures(registry_of(jobs)) if key[0] == "huntaze_attempts_started_total"}
    assert labels == KINDS.keys()


def test_threads_and_processes_lose_no_count() -> None:
    cells = Cells(1)

    def add(shared: Cells) -> None:
        writer = shared.writer()
        threads = [threading.Thread(target=lambda: [writer.add((0, 1.0)) for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    add(cells)
    for _ in range(2):  # the second two follow the first two at their places
        pool = [billiard.Process(target=add, args=(cells,)) for _ in range(2)]
        for place, child in enumerate(pool):
            child.index = place
            child.start()
        for child in pool:
            child.join()
    assert cells.totals() == [5 * 4 * 500]


def test_a_dispatcher_counts_hints_that_were_sent(settings: Settings) -> None:
    counted = DispatcherMetrics()
    hints = [Hint(None, "noop", "default"), Hint(None, "noop", "default"), Hint(None, "video.extract", "video")]  # type: ignore[arg-type]
    with counted.round():
        counted.sent(hints)
    with pytest.raises(BrokerAway), counted.round():
        raise BrokerAway
    counted.sent(hints[:1], again=True)
    seen = figures(counted.registry)
    assert (seen["huntaze_hints_sent_total", "default"], seen["huntaze_hints_sent_total", "video"]) == (2, 1)
    assert seen["huntaze_hints_sent_again_total", "default"] == 1
    assert seen["huntaze_hints_sent_again_total", "ai"] == 0, "a rate begins at nought"
    assert seen["huntaze_dispatcher_round_seconds_count",] == 1
    assert seen["huntaze_dispatcher_last_round_timestamp_seconds",] > 0


def test_beat_tells_when_it_last_fired(settings: Settings) -> None:
    counted = BeatMetrics()
    app = build_app(settings.model_copy(update={"redis": settings.redis.model_copy(update={"prefix": "beats:"})}))
    app.send_task("clock.fire", args=["event-dispatcher"])
    app.send_task("clock.fire", args=["made-up"])
    metrics.signals.after_task_publish.disconnect(counted._published)
    app.close()
    fired = {key[1] for key in figures(counted.registry) if key[0].startswith("huntaze_beat_last_firing")}
    assert fired == {"event-dispatcher"}


def test_each_place_in_a_pool_has_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that wrote to one row would lose what both count at the same instant."""
    cells = Cells(1)
    writers = [cells.writer()]
    for place in (0, 1, 253):
        monkeypatch.setattr(billiard.current_process(), "index", place, raising=False)
        writers.append(cells.writer())
    for number, writer in enumerate(writers):
        writer.add((0, 10.0**number))
    assert [writer._floats[0] for writer in writers] == [1.0, 10.0, 100.0, 1000.0]
    assert cells.totals() == [1111.0]
