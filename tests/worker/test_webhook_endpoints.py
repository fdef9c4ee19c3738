"""Who is told of what, when no more, under which secret; sent again by hand and by a range of time."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from huntaze.clients.webhooks.outbound import Answer
from huntaze.models import (
    job_enqueue,
    job_store,
    webhook_log,
    webhook_store,
)
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import WebhooksReplay
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.models.webhooks import WebhookSecret
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.patterns import wants
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.worker.runtime import Runtime
from tests.worker.webhook_bench import KEYS, Bench, nothing_is_left_running


@pytest.fixture
def bench(runtime: Runtime, sessions: Sessions, creator: User) -> Iterator[Bench]:
    bench = Bench(runtime, sessions, creator)
    yield bench
    nothing_is_left_running(sessions)


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
