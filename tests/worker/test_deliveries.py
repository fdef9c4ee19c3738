"""From an event to an endpoint's answer, through the real ledger: order, retries, throttles, ends."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from huntaze.clients.webhooks.build import Webhooks
from huntaze.clients.webhooks.outbound import Answer, ScriptedOutbound
from huntaze.models import (
    event_store,
    job_dispatch,
    job_enqueue,
    job_store,
    node_store,
    webhook_deliveries,
    webhook_log,
    webhook_store,
)
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import EventsPlace, WebhooksReplay
from huntaze.models.job_dispatch import Hint, Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.node_store import Worker
from huntaze.models.users import User
from huntaze.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.patterns import wants
from huntaze.pipelines.webhooks.schedule import ATTEMPTS, DELAYS_S
from huntaze.pipelines.webhooks.signing import Keyring, verify
from huntaze.pipelines.webhooks.targets import Target, TargetPolicy
from huntaze.worker.base import run_job
from huntaze.worker.dispatcher import Dispatcher
from huntaze.worker.runtime import Runtime
from tests.waiting import until
from tests.worker.conftest import KNOWN, NODE

KEYS = Keyring(b"the key of these tests, of 32 bytes or more")
OK = Answer(200, 0.01)


@dataclass
class Bench:
    """The fleet of one test: what its endpoints answer, by host and event type, and what they got."""

    runtime: Runtime
    sessions: Sessions
    creator: User
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # host, body
    headers: list[Mapping[str, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None  # what happens while a request is under way

    def __post_init__(self) -> None:
        webhooks = Webhooks(ScriptedOutbound(self._answer), TargetPolicy(), KEYS)
        self.runtime = replace(self.runtime, clients=replace(self.runtime.clients, webhooks=webhooks))

    def _answer(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        content = json.loads(body)
        self.sent.append((target.host, content))
        self.headers.append(headers)
        self.meanwhile()
        return self.answers.get((target.host, content["type"]), self.answers.get((target.host, "*"), OK))

    def endpoint(self, host: str = "a.example", *types: str, **options: Any) -> uuid.UUID:
        options = {"creator_id": self.creator.id} | options
        with self.sessions.begin() as session:
            made, _ = webhook_store.create(session, KEYS, f"https://{host}/in", types or ["*"], **options)
        return made.id

    def emit(self, type: str, subject: uuid.UUID | None = None, creator: User | None = None) -> uuid.UUID:
        with self.sessions.begin() as session:
            owner = creator or self.creator
            event_store.emit(session, owner.id, type, subject or new_id(), {"said": type})
            event = session.scalars(select(Event).order_by(Event.created_at.desc()).limit(1)).one()
        return event.id

    def place(self) -> int:
        with self.sessions.begin() as session:
            return webhook_deliveries.place(session)

    def work(self, most: int = 50, *, forward: bool = False) -> None:
        """Places events and runs what is due until nothing is; `forward`: what is due later, too."""
        while self.place():
            pass
        for _ in range(most):
            if forward:
                self.skip_time()
            with self.sessions.begin() as session:
                job_dispatch.promote(session)
                hints = job_dispatch.take_due(session, "default", 100, KNOWN, Turns()).hints
            for hint in hints:
                run_job(self.runtime, NODE, hint.kind, hint.job_id)
            if not hints:
                return

    def skip_time(self) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Job).where(Job.state == JobState.WAITING).values(run_at=text("clock_timestamp()")))
            session.execute(text("UPDATE webhook_endpoints SET throttled_until = NULL"))
            session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = NULL"))

    def states(self) -> list[tuple[str, str, int]]:
        """(event type, state, attempts), in the order of the stream."""
        with self.sessions() as session:
            query = select(Event.type, WebhookDelivery.state, WebhookDelivery.attempts)
            query = query.join(Event, Event.id == WebhookDelivery.event_id).order_by(WebhookDelivery.position)
            return [(row[0], row[1], row[2]) for row in session.execute(query)]

    def get(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        with self.sessions() as session:
            return session.get_one(WebhookEndpoint, endpoint_id)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(host, body["type"]) for host, body in self.sent]


@pytest.fixture
def bench(runtime: Runtime, sessions: Sessions, creator: User) -> Bench:
    return Bench(runtime, sessions, creator)


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


def test_nothing_is_told_to_others(bench: Bench, sessions: Sessions) -> None:
    with sessions.begin() as session:
        other = User(handle="other")
        session.add(other)
    bench.endpoint("a.example")
    bench.endpoint("b.example", creator_id=other.id)
    bench.endpoint("partner.example", "video.*", creator_id=None, partner="Tools Ltd.")
    off = bench.endpoint("off.example")
    with sessions.begin() as session:
        found = webhook_store.get(session, off, lock=True)
        assert found is not None
        webhook_store.change(session, found, {"enabled": False})
    bench.emit("video.analyzed")
    bench.emit("job.failed", creator=other)
    bench.work()
    wanted = [("a.example", "video.analyzed"), ("partner.example", "video.analyzed"), ("b.example", "job.failed")]
    assert sorted(bench.told) == sorted(wanted)


def test_a_delivery_is_no_event_and_so_makes_none(bench: Bench) -> None:
    bench.endpoint()
    bench.emit("video.analyzed")
    bench.work()
    with bench.sessions() as session:
        assert [event.type for event in session.scalars(select(Event))] == ["video.analyzed"]


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


def test_410_disables_at_once_and_tells_the_creator(bench: Bench) -> None:
    endpoint = bench.endpoint()
    bench.endpoint("b.example", "webhook.*")
    subject = new_id()
    bench.emit("v.one", subject)
    bench.emit("v.two", subject)
    bench.answers["a.example", "*"] = Answer(410, 0.01)
    bench.work()
    assert bench.get(endpoint).disabled_reason == "gone"
    bench.emit("v.three")
    bench.work()
    assert bench.told == [("a.example", "v.one"), ("b.example", "webhook.disabled")]
    assert ("v.two", "failed", 0) in bench.states()
    assert not [one for one in bench.states() if one[0] == "v.three"]
    assert bench.sent[-1][1]["data"]["reason"] == "gone"


def test_five_days_without_success_disable(bench: Bench) -> None:
    endpoint = bench.endpoint()
    bench.answers["a.example", "*"] = Answer(500, 0.01)
    bench.emit("v.one")
    bench.work()
    assert bench.get(endpoint).failing_since is not None
    with bench.sessions.begin() as session:
        session.execute(text("UPDATE webhook_endpoints SET failing_since = failing_since - interval '5 days'"))
    bench.work(forward=True, most=1)
    assert bench.get(endpoint).disabled_reason == "failing"
    with bench.sessions() as session:
        assert session.scalars(select(Event.type).where(Event.type == "webhook.disabled")).all() == ["webhook.disabled"]
    assert bench.states()[0] == ("v.one", "failed", 2)


def test_a_success_makes_it_well_again(bench: Bench) -> None:
    endpoint = bench.endpoint()
    bench.answers["a.example", "v.bad"] = Answer(500, 0.01)
    bench.emit("v.bad")
    bench.work()
    bench.emit("v.good")
    bench.work()
    assert bench.get(endpoint).failing_since is None


def test_a_throttle_is_the_whole_endpoints(bench: Bench) -> None:
    bench.endpoint()
    bench.endpoint("b.example")
    bench.answers["a.example", "*"] = Answer(429, 0.01, retry_after="3600")
    bench.emit("v.one")
    bench.work()
    bench.emit("v.two")
    bench.work()
    assert sorted(bench.told) == [("a.example", "v.one"), ("b.example", "v.one"), ("b.example", "v.two")]
    with bench.sessions() as session:
        waits = session.scalars(
            text("SELECT extract(epoch FROM run_at - clock_timestamp()) FROM jobs WHERE state = 'waiting'")
        ).all()
    assert len(waits) == 2
    assert all(3590 < wait < 1.2 * 3600 + 1 for wait in waits)


def test_two_secrets_sign_during_a_rotation_and_one_after_it(bench: Bench) -> None:
    endpoint = bench.endpoint()
    with bench.sessions.begin() as session:
        [old] = webhook_store.secrets_of(session, KEYS, endpoint)
        new = webhook_store.rotate(session, KEYS, endpoint, timedelta(hours=1))
        assert webhook_store.secrets_of(session, KEYS, endpoint) == [new, old]
    bench.emit("v.one")
    bench.work()
    assert bench.headers[-1]["webhook-signature"].count("v1,") == 2
    with bench.sessions.begin() as session:
        session.execute(update(WebhookSecret).values(expires_at=text("expires_at - interval '1 hour'")))
        assert webhook_store.secrets_of(session, KEYS, endpoint) == [new]
        newest = webhook_store.rotate(session, KEYS, endpoint, timedelta(hours=1))
        assert webhook_store.secrets_of(session, KEYS, endpoint) == [newest, new]


def test_the_database_alone_has_no_secret(bench: Bench) -> None:
    endpoint = bench.endpoint()
    with bench.sessions() as session:
        assert webhook_store.secrets_of(session, Keyring(b"another key of another fleet, 32 bytes"), endpoint) == []
        moved = Keyring(b"the next key of this fleet, of 32 bytes", KEYS.current)
        assert webhook_store.secrets_of(session, moved, endpoint) == webhook_store.secrets_of(session, KEYS, endpoint)


def test_without_the_key_a_delivery_waits_and_costs_nothing(bench: Bench) -> None:
    bench.endpoint()
    webhooks = replace(bench.runtime.clients.webhooks, keys=None)
    whole = bench.runtime
    bench.runtime = replace(whole, clients=replace(whole.clients, webhooks=webhooks))
    bench.emit("v.one")
    bench.work()
    assert (bench.sent, bench.states()) == ([], [("v.one", "sending", 0)])
    bench.runtime = whole
    bench.work(forward=True)
    assert bench.states() == [("v.one", "delivered", 1)]


def test_a_test_event_goes_to_its_endpoint_alone(bench: Bench) -> None:
    one = bench.endpoint("a.example", "video.*")
    bench.endpoint("b.example")
    with bench.sessions.begin() as session:
        found = webhook_store.get(session, one)
        assert found is not None
        webhook_store.emit_test(session, found, bench.creator.id)
    bench.work()
    assert bench.told == [("a.example", "webhook.test")]


def test_sent_again_by_hand(bench: Bench) -> None:
    endpoint = bench.endpoint()
    event_id = bench.emit("v.one")
    bench.work()
    with bench.sessions.begin() as session:
        assert webhook_log.resend(session, (endpoint, event_id))
        with pytest.raises(Permanent) as refused:
            webhook_log.resend(session, (endpoint, event_id))
        assert refused.value.code == "webhook.under_way"
        assert not webhook_log.resend(session, (endpoint, new_id()))
    bench.work()
    assert [headers["webhook-id"] for headers in bench.headers] == [str(event_id)] * 2
    assert bench.states() == [("v.one", "delivered", 1)]


def replayed(bench: Bench, endpoint: uuid.UUID, **options: Any) -> int:
    with bench.sessions.begin() as session:
        now = job_store.db_now(session)
        args = WebhooksReplay(**({"endpoint_id": endpoint, "since": now - timedelta(days=1), "until": now} | options))
        job = job_enqueue.enqueue(session, args).job
    bench.work()
    with bench.sessions() as session:
        found = session.get_one(Job, job.id)
    assert found.result is not None
    return int(found.result["deliveries"])


def test_a_replay_sends_what_is_missing_in_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_log, "ROWS", 2)
    subject = new_id()
    bench.emit("v.before", subject)
    bench.work()
    endpoint = bench.endpoint("a.example", "v.*")
    bench.answers["a.example", "v.bad"] = Answer(410, 0.01)
    for type in ("v.good", "v.bad", "w.never"):
        bench.emit(type, subject)
    bench.work()
    bench.emit("v.after", subject)
    bench.work()
    assert bench.told == [("a.example", "v.good"), ("a.example", "v.bad")]
    assert replayed(bench, endpoint) == 0, "it is disabled"
    with bench.sessions.begin() as session:
        found = webhook_store.get(session, endpoint, lock=True)
        assert found is not None
        webhook_store.change(session, found, {"enabled": True})
    bench.answers.clear()
    assert replayed(bench, endpoint) == 3
    assert [type for _, type in bench.told[2:]] == ["v.before", "v.bad", "v.after"]
    assert replayed(bench, endpoint) == 0
    assert replayed(bench, endpoint, delivered=True) == 4
    assert [type for _, type in bench.told[5:]] == ["v.before", "v.good", "v.bad", "v.after"]


def test_an_endpoint_that_is_deleted_while_it_is_told(bench: Bench) -> None:
    endpoint = bench.endpoint()
    bench.emit("v.one")

    def delete() -> None:
        with bench.sessions.begin() as session:
            assert webhook_store.remove(session, endpoint)

    bench.meanwhile = delete
    bench.work()
    assert bench.states() == []
    with bench.sessions() as session:
        assert set(session.scalars(select(Job.state))) == {JobState.SUCCEEDED}


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


@pytest.fixture(autouse=True)
def _nothing_is_left_running(sessions: Sessions) -> Iterator[None]:
    yield
    with sessions() as session:
        assert not session.scalars(select(WebhookAttempt).where(WebhookAttempt.seconds < 0)).all()
        stranded = text("""
            SELECT count(*) FROM webhook_deliveries d WHERE state = 'sending' AND NOT EXISTS (
                SELECT FROM jobs WHERE kind = 'webhooks.deliver' AND jobs.state IN ('waiting', 'queued', 'running')
                AND args ->> 'event_id' = d.event_id::text AND args ->> 'endpoint_id' = d.endpoint_id::text)
        """)
        assert session.execute(stranded).scalar_one() == 0, "whoever is being sent has a job"


TYPES = st.sampled_from(["video.analyzed", "video.failed", "videos.x", "invoice.payment.failed", "a_b.c", "axb.c"])
PATTERNS = st.sampled_from(["*", "video.*", "video.analyzed", "invoice.*", "invoice.payment.*", "a_b.*", "a_b.c"])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PATTERNS, min_size=1, max_size=3), TYPES)
def test_sql_and_python_agree_on_what_is_wanted(bench: Bench, patterns: list[str], type: str) -> None:
    with bench.sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, events, webhook_endpoints CASCADE"))
    bench.endpoint("a.example", *patterns)
    bench.emit(type)
    bench.place()
    assert bool(bench.states()) is wants(patterns, type)
    with bench.sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, events, webhook_endpoints CASCADE"))


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
