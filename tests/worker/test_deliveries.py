"""From an event to an endpoint's answer, through the real ledger: order, attempts, and nobody forgotten."""

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from huntaze.clients.webhooks.outbound import Answer, ScriptedOutbound
from huntaze.models import (
    job_dispatch,
    job_enqueue,
    job_store,
    node_store,
    webhook_log,
    webhook_store,
)
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.job_args import EventsPlace
from huntaze.models.job_dispatch import Hint, Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.node_store import Worker
from huntaze.models.users import User
from huntaze.models.webhooks import WebhookDelivery
from huntaze.pipelines.webhooks.schedule import ATTEMPTS, DELAYS_S
from huntaze.pipelines.webhooks.signing import verify
from huntaze.pipelines.webhooks.targets import Target
from huntaze.worker.base import run_job
from huntaze.worker.dispatcher import Dispatcher
from huntaze.worker.runtime import Runtime
from tests.waiting import until
from tests.worker.conftest import KNOWN, NODE
from tests.worker.webhook_bench import KEYS, Bench, nothing_is_left_running


@pytest.fixture
def bench(runtime: Runtime, sessions: Sessions, creator: User) -> Iterator[Bench]:
    bench = Bench(runtime, sessions, creator)
    yield bench
    nothing_is_left_running(sessions)


def test_an_event_reaches_the_endpoint_signed(bench: Bench) -> None:
    endpoint = bench.endpoint("a.example", "video.*")
    subject = new_id()
    event_id = bench.emit("video.analyzed", subject)
    bench.emit("job.failed")
    bench.work()
    [(host, body)] = bench.sent
    assert (host, body["type"], body["data"]) == ("a.example", "video.analyzed", {"said": "video.analyzed"})
    assert (body["subject_id"], body["creator_id"]) == (str(subject), str(bench.creator.id))
    assert body["position"] > 0
    [headers] = bench.headers
    assert headers["webhook-id"] == str(event_id)
    with bench.sessions() as session:
        [secret] = webhook_store.secrets_of(session, KEYS, endpoint)
        [attempt] = webhook_log.attempts_of(session, (endpoint, event_id))
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    verify([secret], headers, raw, int(headers["webhook-timestamp"]))
    assert (attempt.status, attempt.error) == (200, None)
    assert bench.states() == [("video.analyzed", "delivered", 1)]


def test_events_of_a_subject_arrive_in_order_whatever_fails(bench: Bench) -> None:
    bench.endpoint()
    subject = new_id()
    for type in ("v.one", "v.two", "v.three"):
        bench.emit(type, subject)
    bench.emit("v.other")
    bench.answers["a.example", "v.one"] = Answer(500, 0.01)
    bench.work()
    assert bench.told == [("a.example", "v.one"), ("a.example", "v.other")]
    assert bench.states() == [
        ("v.one", "sending", 1),
        ("v.two", "waiting", 0),
        ("v.three", "waiting", 0),
        ("v.other", "delivered", 1),
    ]
    bench.answers.clear()
    bench.work(forward=True)
    assert bench.told[2:] == [("a.example", "v.one"), ("a.example", "v.two"), ("a.example", "v.three")]
    assert {state for _, state, _ in bench.states()} == {"delivered"}


def test_the_attempts_come_by_the_schedule_and_then_no_more(bench: Bench) -> None:
    endpoint = bench.endpoint()
    subject = new_id()
    event_id = bench.emit("v.one", subject)
    bench.emit("v.two", subject)
    bench.answers["a.example", "v.one"] = Answer(None, 0.01, error="webhook.timeout")
    for number, delay in enumerate(DELAYS_S, 1):
        bench.work()
        with bench.sessions() as session:
            row = session.execute(
                text("SELECT extract(epoch FROM run_at - clock_timestamp()) FROM jobs WHERE state = 'waiting'")
            ).scalar_one()
            delivery = session.get_one(WebhookDelivery, (endpoint, event_id))
        assert delivery.attempts == number
        assert delivery.next_attempt_at is not None
        assert 0.8 * delay - 5 < row < 1.2 * delay + 1
        bench.skip_time()
    bench.work()
    assert bench.states() == [("v.one", "failed", ATTEMPTS), ("v.two", "delivered", 1)]
    with bench.sessions() as session:
        assert session.get_one(WebhookDelivery, (endpoint, event_id)).error_code == "webhook.timeout"
        assert len(webhook_log.attempts_of(session, (endpoint, event_id))) == ATTEMPTS
        assert set(session.scalars(select(Job.state))) == {JobState.SUCCEEDED}


def test_a_crash_after_a_failure_does_not_shorten_the_wait(bench: Bench) -> None:
    bench.endpoint()
    bench.emit("v.one")
    bench.answers["a.example", "*"] = Answer(500, 0.01)
    bench.work()
    with bench.sessions.begin() as session:
        session.execute(text("UPDATE jobs SET run_at = clock_timestamp() WHERE state = 'waiting'"))  # as a rescue does
    bench.work()
    assert bench.states() == [("v.one", "sending", 1)]
    with bench.sessions() as session:
        wait = session.execute(text("SELECT extract(epoch FROM run_at - clock_timestamp()) FROM jobs")).scalar_one()
    assert 1 < wait < 1.2 * 1.2 * DELAYS_S[0]


def test_a_cancelled_job_fails_its_delivery_and_the_sweep_calls_the_next(bench: Bench) -> None:
    endpoint = bench.endpoint()
    subject = new_id()
    first = bench.emit("v.one", subject)
    bench.emit("v.two", subject)
    bench.answers["a.example", "v.one"] = Answer(500, 0.01)
    bench.work()
    with bench.sessions.begin() as session:
        job_id = session.scalars(select(Job.id).where(Job.state == JobState.WAITING)).one()
        job_store.cancel(session, job_id)
    assert bench.states() == [("v.one", "failed", 1), ("v.two", "waiting", 0)]
    with bench.sessions() as session:
        assert session.get_one(WebhookDelivery, (endpoint, first)).error_code == "webhook.cancelled"
    with bench.sessions.begin() as session:
        job_enqueue.enqueue(session, EventsPlace(slot=job_store.db_now(session)))
    bench.work()
    assert bench.states()[1] == ("v.two", "delivered", 1)


def test_parking_and_ending_at_once_never_lose_the_one_behind(bench: Bench) -> None:
    """Eight threads work on lanes of five: whoever parks meets whoever ends."""
    bench.endpoint()
    subjects = [new_id() for _ in range(6)]
    for number in range(5):
        for subject in subjects:
            bench.emit(f"v.n{number}", subject)
    bench.place()

    def work(_: int) -> None:
        idle = 0
        while idle < 20:
            with bench.sessions.begin() as session:
                hints = job_dispatch.take_due(session, "default", 3, KNOWN, Turns()).hints
            for hint in hints:
                run_job(bench.runtime, NODE, hint.kind, hint.job_id)
            idle = 0 if hints else idle + 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    bench.work()
    assert {state for _, state, _ in bench.states()} == {"delivered"}
    for subject in subjects:
        got = [body["type"] for _, body in bench.sent if body["subject_id"] == str(subject)]
        assert got == [f"v.n{number}" for number in range(5)]


CODES = st.sampled_from([200, 200, 500, None, 429])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(st.tuples(st.integers(0, 2), st.lists(CODES, max_size=4)), max_size=8), rounds=st.integers(0, 3))
def test_whatever_is_answered_first_arrivals_are_in_order(
    bench: Bench, events: list[tuple[int, list[int | None]]], rounds: int
) -> None:
    with bench.sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, events, webhook_endpoints CASCADE"))
    bench.sent.clear()
    bench.endpoint()
    subjects = [new_id() for _ in range(3)]
    script = {f"v.n{number}": list(answers) for number, (_, answers) in enumerate(events)}
    arrived: list[str] = []

    def answer(target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        type = json.loads(body)["type"]
        status = script[type].pop(0) if script[type] else 200
        arrived.extend([type] if status == 200 else [])
        return Answer(status, 0.0, error=None if status else "webhook.timeout")

    webhooks = replace(bench.runtime.clients.webhooks, outbound=ScriptedOutbound(answer))
    bench.runtime = replace(bench.runtime, clients=replace(bench.runtime.clients, webhooks=webhooks))
    for number, (subject, _) in enumerate(events):
        bench.emit(f"v.n{number}", subjects[subject])
        if number % 3 < rounds:
            bench.work(most=2, forward=number % 2 == 0)
    bench.work(forward=True)
    assert sorted(arrived) == sorted(script), "each once, and none lost"
    for subject in range(3):
        mine = [f"v.n{number}" for number, (of, _) in enumerate(events) if of == subject]
        assert [type for type in arrived if type in mine] == mine


def test_the_dispatcher_fans_out_live(bench: Bench) -> None:
    """From the commit of an event to the hint of its delivery, in one loop of the real dispatcher."""
    bench.endpoint()
    with bench.sessions.begin() as session:
        node_store.beat(session, "node", "worker", Worker(["default"], 3, {"webhooks.deliver": 1}))
    sent: list[Hint] = []
    given = bench.runtime.settings
    dispatcher = Dispatcher(bench.sessions, sent.extend, given.worker, given.database.libpq_url)
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(stop,))
    thread.start()
    try:
        bench.emit("v.one")
        until(lambda: [hint.kind for hint in sent] == ["webhooks.deliver"], "the hint of a delivery")
    finally:
        stop.set()
        thread.join(10)
    for hint in sent:
        run_job(bench.runtime, NODE, hint.kind, hint.job_id)
    assert bench.told == [("a.example", "v.one")]
