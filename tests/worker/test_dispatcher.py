"""The dispatcher alone: real ledger, a sender that can be made to fail."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import redis
from kombu.exceptions import BatchPublishError
from kombu.exceptions import OperationalError as BrokerAway

from huntaze.models import event_store, job_claim, job_enqueue, job_reads, node_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import MOST_JOBS, Hint
from huntaze.models.job_enqueue import NewJob
from huntaze.models.jobs import Job
from huntaze.models.node_store import Worker
from huntaze.models.users import User
from huntaze.settings import Settings
from huntaze.worker.app import build_app
from huntaze.worker.dispatcher import BUSY_S, POLL_S, Dispatcher, celery_sender
from huntaze.worker.sentinel import Sentinel
from tests.waiting import until


class Sender:
    """Keeps what it is given; raises `fault` while there is one."""

    def __init__(self) -> None:
        self.tried = 0
        self.sent: list[Hint] = []
        self.fault: Exception | None = None

    def __call__(self, hints: Sequence[Hint]) -> None:
        self.tried += 1
        if self.fault is not None:
            raise self.fault
        self.sent += hints


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def dispatcher(sessions: Sessions, sender: Sender, settings: Settings) -> Dispatcher:
    with sessions.begin() as session:
        node_store.beat(session, "node", "worker", Worker(["default"], 3, {"noop": 1}))
    return Dispatcher(sessions, sender, settings.worker, settings.database.libpq_url)


def enqueue(sessions: Sessions, count: int = 1) -> list[Job]:
    with sessions.begin() as session:
        return [job_enqueue.enqueue(session, Noop()).job for _ in range(count)]


def states(sessions: Sessions) -> list[str]:
    with sessions() as session:
        return sorted(job.state for job in job_reads.search(session))


def test_a_round_that_only_its_bound_ended_is_followed_by_the_next_at_once(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender
) -> None:
    with sessions.begin() as session:
        node_store.beat(session, "large", "worker", Worker(["default"], 3 * MOST_JOBS, {"noop": 1}))
        job_enqueue.enqueue_many(session, [NewJob(Noop()) for _ in range(MOST_JOBS + 1)])
    assert dispatcher.round() == 0
    assert len(sender.sent) == MOST_JOBS
    assert dispatcher.round() == POLL_S
    assert len(sender.sent) == MOST_JOBS + 1


def test_a_round_sends_as_many_as_there_are_slots(sessions: Sessions, dispatcher: Dispatcher, sender: Sender) -> None:
    jobs = enqueue(sessions, 5)
    assert dispatcher.round() == BUSY_S, "more is waiting"
    assert [hint.job_id for hint in sender.sent] == [job.id for job in jobs[:3]]
    assert states(sessions) == ["queued"] * 3 + ["waiting"] * 2
    dispatcher.round()
    assert len(sender.sent) == 3


def test_a_broker_that_is_away_holds_up_neither_rescue_nor_streams(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender, creator: User
) -> None:
    held = enqueue(sessions)[0]
    dispatcher.round()
    with sessions.begin() as session:
        job_claim.claim(session, held.id, "gone/1", lease_s=0)
        event_store.emit(session, creator.id, "test.told", new_id(), {})
    enqueue(sessions)
    sender.fault = BrokerAway("gone")
    dispatcher._swept_at = float("-inf")
    with pytest.raises(BrokerAway):
        dispatcher.round()
    assert states(sessions) == ["waiting", "waiting"], "the lost job was taken back"
    with sessions() as session:
        assert event_store.read_after(session, creator.id, 0), "the event has its place"


def test_hints_do_not_pile_up_while_all_workers_are_busy(
    sessions: Sessions, sender: Sender, settings: Settings, dispatcher: Dispatcher
) -> None:
    redis_settings = settings.redis.model_copy(update={"prefix": f"{new_id()}:"})
    sentinel = Sentinel(redis_settings)
    impatient = settings.worker.model_copy(update={"queued_timeout_s": 0})
    dispatcher = Dispatcher(sessions, sender, impatient, settings.database.libpq_url, sentinel=sentinel)
    dispatcher.round()
    enqueue(sessions, 2)
    dispatcher.round()
    sentinel._redis.lpush(f"{redis_settings.prefix}default", "one hint", "another")
    dispatcher._send_again(dispatcher._look())
    assert len(sender.sent) == 2
    sentinel._redis.rpop(f"{redis_settings.prefix}default")
    dispatcher._send_again(dispatcher._look())
    assert len(sender.sent) == 4, "one is missing, and nobody knows which"
    sentinel.close()


def test_an_idle_round_waits_for_news(sessions: Sessions, dispatcher: Dispatcher) -> None:
    assert dispatcher.round() == POLL_S


def test_without_a_living_worker_rows_wait(sessions: Sessions, dispatcher: Dispatcher, sender: Sender) -> None:
    with sessions.begin() as session:
        node_store.leave(session, "node")
    enqueue(sessions)
    dispatcher.round()
    assert sender.sent == []
    assert states(sessions) == ["waiting"]


def test_a_broker_that_lost_its_memory_gets_all_hints_again_at_once(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender, settings: Settings
) -> None:
    redis_settings = settings.redis.model_copy(update={"prefix": f"{new_id()}:"})
    sentinel = Sentinel(redis_settings)
    dispatcher = Dispatcher(sessions, sender, settings.worker, settings.database.libpq_url, sentinel=sentinel)
    dispatcher.round()
    jobs = enqueue(sessions, 2)
    dispatcher.round()
    dispatcher._send_again(dispatcher._look())
    assert len(sender.sent) == 2, "the key is there: nothing is sent twice"
    sentinel._redis.delete(f"{redis_settings.prefix}sentinel")
    dispatcher._send_again(dispatcher._look())
    assert [hint.job_id for hint in sender.sent[2:]] == [job.id for job in jobs]
    dispatcher._send_again(dispatcher._look())
    assert len(sender.sent) == 4
    sentinel.close()


def test_a_broker_that_is_away_leaves_the_rows_waiting(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender
) -> None:
    enqueue(sessions)
    sender.fault = BrokerAway("gone")
    with pytest.raises(BrokerAway):
        dispatcher.round()
    assert states(sessions) == ["waiting"]
    sender.fault = None
    dispatcher.round()
    assert states(sessions) == ["queued"]


@contextmanager
def running(dispatcher: Dispatcher) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_loop_hears_of_new_jobs_and_new_events(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender, creator: User
) -> None:
    with running(dispatcher):
        until(lambda: dispatcher._swept_at > 0, "the first round")
        job = enqueue(sessions)[0]
        until(lambda: [hint.job_id for hint in sender.sent] == [job.id], "the hint")
        with sessions.begin() as session:
            event_store.emit(session, creator.id, "test.told", new_id(), {})

        def placed() -> list[str]:
            with sessions() as session:
                return [event.type for event in event_store.read_after(session, creator.id, 0)]

        assert until(placed, "the event's position") == ["test.told"]


@pytest.mark.parametrize(
    "fault", [BrokerAway("gone"), BatchPublishError("flush failed"), redis.ConnectionError("refused"), OSError("reset")]
)
def test_the_loop_outlives_a_broker_that_comes_back(
    sessions: Sessions, dispatcher: Dispatcher, sender: Sender, fault: Exception
) -> None:
    sender.fault = fault
    job = enqueue(sessions)[0]
    with running(dispatcher):
        until(lambda: sender.tried, "a first try, which fails")
        sender.fault = None
        until(lambda: sender.sent, "the second")
    assert [hint.job_id for hint in sender.sent] == [job.id]
    assert states(sessions) == ["queued"]


def test_a_worker_outlives_a_channel_that_is_closed_twice(settings: Settings) -> None:
    with build_app(settings).connection_for_write() as connection:
        qos = connection.default_channel.qos
        assert qos.restore_at_shutdown
        qos._delivered["a tag"] = object()  # reserved, and not acknowledged
        connection.default_channel.connection.client = None  # as kombu leaves it after the first close
        qos.restore_unacked_once()
        qos._delivered.clear()


def test_hints_reach_the_queue_of_their_kind(sessions: Sessions, settings: Settings) -> None:
    prefix = {"prefix": f"{new_id()}:"}
    app = build_app(settings.model_copy(update={"redis": settings.redis.model_copy(update=prefix)}))
    hints = [Hint(new_id(), "noop", "default"), Hint(new_id(), "video.extract", "video")]
    celery_sender(app)(hints)
    with app.connection_for_read() as connection:
        for hint in hints:
            message = connection.SimpleQueue(hint.queue).get(timeout=5)
            assert message.headers["task"] == hint.kind
            assert message.headers["id"] == str(hint.job_id)
            assert message.payload[0] == [str(hint.job_id)]
            assert message.content_type == "application/json"
            message.ack()
    app.close()
