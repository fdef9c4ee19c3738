"""Moments at which a process may die, two may meet, or something says that it is too early."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ClassVar

import pytest
from sqlalchemy import text

from huntaze.beat_schedule import Entry
from huntaze.models import flow_store, job_enqueue, job_store, node_store, periodic_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobArgs, Noop, PeriodicArgs
from huntaze.models.job_dispatch import Hint
from huntaze.models.job_kinds import KINDS, JobKind
from huntaze.models.jobs import Job
from huntaze.models.node_store import Worker
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext, Snooze
from huntaze.worker.clock import fire, slots
from huntaze.worker.dispatcher import Dispatcher
from huntaze.worker.sentinel import Sentinel
from tests.waiting import until


class Killed(BaseException):
    """The process is gone: nothing after this instruction happens, no handler of errors either."""


@pytest.fixture
def sentinel(settings: Settings) -> Iterator[Sentinel]:
    """Of a broker that holds nothing, and remembers that it has not lost anything."""
    built = Sentinel(settings.redis.model_copy(update={"prefix": f"{new_id()}:"}))
    built.plant()
    yield built
    built.close()


def killed(hints: Sequence[Hint]) -> None:
    raise Killed


def test_a_dispatcher_that_dies_between_commit_and_send_loses_nothing(
    sessions: Sessions, settings: Settings, sentinel: Sentinel
) -> None:
    impatient = settings.worker.model_copy(update={"queued_timeout_s": 0})
    with sessions.begin() as session:
        node_store.beat(session, "node", "worker", Worker(["default"], 3, {"noop": 1}))
        jobs = [job_enqueue.enqueue(session, Noop()).job for _ in range(3)]
    with pytest.raises(Killed):
        Dispatcher(sessions, killed, settings.worker, settings.database.libpq_url, sentinel=sentinel).round()
    with sessions() as session:
        assert {session.get_one(Job, job.id).state for job in jobs} == {"queued"}, "committed, and not sent"
    sent: list[Hint] = []
    Dispatcher(sessions, sent.extend, impatient, settings.database.libpq_url, sentinel=sentinel).round()
    assert [hint.job_id for hint in sent] == [job.id for job in jobs]


def test_a_handler_for_which_it_is_too_early_is_called_again_and_pays_nothing(
    sessions: Sessions, work: Callable[..., list[str]]
) -> None:
    with sessions.begin() as session:
        job_id = job_enqueue.enqueue(session, Noop()).job.id

    def early(ctx: JobContext, args: JobArgs) -> None:
        raise Snooze(3600)

    for attempt in range(1, 8):  # more often than attempts are allowed
        assert work(early) == ["waiting"]
        assert work(early) == [], "not before its time"
        with sessions.begin() as session:
            job = session.get_one(Job, job_id)
            assert (job.attempt, job.errors, job.crashes) == (attempt, 0, 0)
            assert 3500 < (job.run_at - job_store.db_now(session)).total_seconds() <= 3600
            job.run_at = job_store.db_now(session)
    assert work() == ["succeeded"]
    with sessions() as session:
        assert [one["outcome"] for one in job_store.attempts_of(session, job_id)] == ["snoozed"] * 7 + ["succeeded"]


def test_a_paused_queue_is_not_served_until_it_is_resumed(
    sessions: Sessions, settings: Settings, sentinel: Sentinel
) -> None:
    sent: list[Hint] = []
    dispatcher = Dispatcher(sessions, sent.extend, settings.worker, settings.database.libpq_url, sentinel=sentinel)
    with sessions.begin() as session:
        node_store.beat(session, "node", "worker", Worker(["default"], 3, {"noop": 1}))
        flow_store.pause(session, "queue", "default")
        job = job_enqueue.enqueue(session, Noop()).job
    dispatcher.round()
    assert sent == []
    with sessions.begin() as session:
        assert flow_store.resume(session, "queue", "default")
    dispatcher.round()
    assert [hint.job_id for hint in sent] == [job.id]


_SOMEBODY_WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


class Tick(PeriodicArgs):
    """Nothing but the slot: no rule of the kind's own stands in the way of a second job."""

    kind: ClassVar[str] = "test.tick"


def test_two_clocks_that_meet_at_a_slot_make_one_job(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looks while the first has not committed yet."""
    monkeypatch.setitem(KINDS, Tick.kind, JobKind(Tick, queue="default"))
    entry = Entry(Tick.kind, "0 * * * *", "all")
    with ThreadPoolExecutor(1) as pool:
        with sessions() as first:
            now = job_store.db_now(first)
            periodic_store.lock(first, "every", first=now - timedelta(hours=1))
            first.commit()
            last = periodic_store.lock(first, "every", first=now)
            (slot,) = slots(entry.cron, last, now)
            periodic_store.enqueue_slot(first, "every", entry.kind, slot)
            second = pool.submit(fire, sessions, "every", entry)

            def met() -> bool:
                with sessions() as session:
                    return second.done() or bool(session.execute(_SOMEBODY_WAITS).scalar_one())

            until(met, "the second to come to the same slot")
            periodic_store.record(first, "every", slot)
            first.commit()
        assert second.result() == 0
    with sessions() as session:
        assert session.query(Job).count() == 1
