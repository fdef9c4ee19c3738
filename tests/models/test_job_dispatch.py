"""Who goes next: priority, turns, limits, pauses, and jobs that nobody here knows."""

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from huntaze.models import dispatch_board, flow_store, job_dispatch, job_enqueue, job_reads, job_store, node_store
from huntaze.models.database import Sessions
from huntaze.models.flows import FlowRate
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import MOST_JOBS, Taken, Turns
from huntaze.models.job_enqueue import NewJob
from huntaze.models.job_kinds import KINDS, JobKind, Rate
from huntaze.models.jobs import Job, JobState
from huntaze.models.node_store import Worker

KNOWN = {"noop": 1}


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def policy() -> Iterator[None]:
    """Lets a test change the policy of `noop`."""
    before = KINDS["noop"]
    yield
    KINDS["noop"] = before


def set_policy(**changes: object) -> JobKind:
    KINDS["noop"] = replace(KINDS["noop"], **changes)  # type: ignore[arg-type]
    return KINDS["noop"]


def enqueue(sessions: Sessions, key: str, count: int = 1, priority: int = 0) -> list[uuid.UUID]:
    with sessions.begin() as session:
        return [job_enqueue.enqueue(session, Noop(), flow_key=key, priority=priority).job.id for _ in range(count)]


def take(sessions: Sessions, room: int, turns: Turns, kinds: dict[str, int] = KNOWN) -> Taken:
    with sessions.begin() as session:
        return job_dispatch.take_due(session, "default", room, kinds, turns)


def keys(sessions: Sessions, taken: Taken) -> list[str]:
    with sessions() as session:
        return [session.get_one(Job, hint.job_id).flow_key for hint in taken.hints]


def end(sessions: Sessions, taken: Taken) -> None:
    """Lets what was taken end, so that it is under way no longer."""
    with sessions.begin() as session:
        for hint in taken.hints:
            job_store.cancel(session, hint.job_id)


def test_no_more_than_there_is_room_for_oldest_first(sessions: Sessions, turns: Turns) -> None:
    ids = enqueue(sessions, "a", 5)
    first = take(sessions, 3, turns)
    assert [hint.job_id for hint in first.hints] == ids[:3]
    assert first.more
    rest = take(sessions, 100, turns)
    assert [hint.job_id for hint in rest.hints] == ids[3:]
    assert not rest.more
    assert take(sessions, 100, turns) == Taken([], more=False)


def test_a_round_is_bounded_whatever_the_room(sessions: Sessions, turns: Turns) -> None:
    """The dispatcher has other things to do: rescue, streams, the other queues."""
    with sessions.begin() as session:
        job_enqueue.enqueue_many(session, [NewJob(Noop()) for _ in range(MOST_JOBS + 1)])
    first = take(sessions, 10 * MOST_JOBS, turns)
    assert len(first.hints) == MOST_JOBS
    assert first.more
    assert len(take(sessions, 10 * MOST_JOBS, turns).hints) == 1


def test_without_room_nothing_moves_but_somebody_waits(sessions: Sessions, turns: Turns) -> None:
    enqueue(sessions, "a")
    assert take(sessions, 0, turns) == Taken([], more=True)


def test_flow_keys_take_turns(sessions: Sessions, turns: Turns) -> None:
    enqueue(sessions, "a", 50)
    enqueue(sessions, "b", 2)
    enqueue(sessions, "c", 1)
    order = keys(sessions, take(sessions, 6, turns))
    assert order[:3] == ["a", "b", "c"], "everybody's first job goes before anybody's second"
    served = order + keys(sessions, take(sessions, 6, turns))
    assert Counter(served)["b"] == 2
    assert Counter(served)["c"] == 1


def test_a_newcomer_is_next_however_long_the_backlog_of_another(sessions: Sessions, turns: Turns) -> None:
    enqueue(sessions, "big", 200)
    for _ in range(5):
        end(sessions, take(sessions, 1, turns))
    enqueue(sessions, "small")
    served = []
    for _ in range(2):
        taken = take(sessions, 1, turns)
        served += keys(sessions, taken)
        end(sessions, taken)
    assert "small" in served


def test_with_little_room_every_key_gets_its_turn(sessions: Sessions, turns: Turns) -> None:
    for number in range(10):
        enqueue(sessions, f"k{number}", 3)
    served: Counter[str] = Counter()
    for _ in range(10):
        taken = take(sessions, 3, turns)
        served.update(keys(sessions, taken))
    assert set(served.values()) == {3}


def test_the_urgent_go_first(sessions: Sessions, turns: Turns) -> None:
    enqueue(sessions, "a", 3)
    urgent = enqueue(sessions, "z", 1, priority=-1)
    assert [hint.job_id for hint in take(sessions, 1, turns).hints] == urgent


@pytest.mark.usefixtures("policy")
def test_a_flow_key_has_no_more_under_way_than_its_limit(sessions: Sessions, turns: Turns) -> None:
    set_policy(flow_limit=2)
    enqueue(sessions, "a", 5)
    enqueue(sessions, "b", 1)
    first = take(sessions, 100, turns)
    assert Counter(keys(sessions, first)) == {"a": 2, "b": 1}
    assert first.more, "the limit is looked at again"
    assert take(sessions, 100, turns).hints == []
    end(sessions, first)
    assert Counter(keys(sessions, take(sessions, 100, turns))) == {"a": 2}


@pytest.mark.usefixtures("policy")
def test_a_flow_key_starts_no_more_in_a_period_than_its_rate(sessions: Sessions, turns: Turns) -> None:
    set_policy(flow_rate=Rate(3, 3600))
    enqueue(sessions, "a", 10)
    enqueue(sessions, "b", 1)
    taken = take(sessions, 100, turns)
    assert Counter(keys(sessions, taken)) == {"a": 3, "b": 1}
    end(sessions, taken)
    assert take(sessions, 100, turns).hints == []
    with sessions.begin() as session:
        rate = session.get_one(FlowRate, ("noop", "a"))
        rate.arrival -= timedelta(seconds=1200)  # a third of the period later
    assert Counter(keys(sessions, take(sessions, 100, turns))) == {"a": 1}


def test_a_paused_kind_or_queue_waits_and_what_was_sent_comes_back(sessions: Sessions, turns: Turns) -> None:
    enqueue(sessions, "a", 2)
    take(sessions, 1, turns)
    with sessions.begin() as session:
        flow_store.pause(session, "kind", "noop")
    assert take(sessions, 100, turns).hints == []
    with sessions() as session:
        assert {job.state for job in job_reads.search(session)} == {JobState.WAITING}
    with sessions.begin() as session:
        assert flow_store.resume(session, "kind", "noop")
        assert not flow_store.resume(session, "kind", "noop")
    assert len(take(sessions, 100, turns).hints) == 2


def test_what_no_worker_knows_waits_and_is_reported(sessions: Sessions, turns: Turns) -> None:
    old, new = enqueue(sessions, "a", 2)
    with sessions.begin() as session:
        session.get_one(Job, new).args_version = 2
    assert take(sessions, 100, turns, {}).hints == []
    assert [hint.job_id for hint in take(sessions, 100, turns).hints] == [old]
    with sessions() as session:
        assert job_dispatch.stranded(session, KNOWN) == {("noop", 2): 1}
    assert [hint.job_id for hint in take(sessions, 100, turns, {"noop": 2}).hints] == [new]


def test_scheduled_jobs_become_ready_when_their_time_comes(sessions: Sessions, turns: Turns) -> None:
    with sessions.begin() as session:
        now = job_store.db_now(session)
        soon = job_enqueue.enqueue(session, Noop(), run_at=now + timedelta(hours=1)).job.id
        past = job_enqueue.enqueue(session, Noop(), run_at=now + timedelta(hours=2)).job.id
    with sessions.begin() as session:
        session.get_one(Job, past).run_at = now
    with sessions.begin() as session:
        assert job_dispatch.promote(session) == 1
        seconds = dispatch_board.look(session.connection(), 60).next_due_s
    assert seconds is not None
    assert 3590 < seconds <= 3600
    assert [hint.job_id for hint in take(sessions, 100, turns).hints] == [past]
    with sessions.begin() as session:
        session.get_one(Job, soon).run_at = now
    with sessions.begin() as session:
        assert job_dispatch.promote(session) == 1
        assert dispatch_board.look(session.connection(), 60).next_due_s is None
    assert [hint.job_id for hint in take(sessions, 100, turns).hints] == [soon]


def test_two_dispatchers_do_not_fill_the_same_room_twice(sessions: Sessions) -> None:
    enqueue(sessions, "a", 4)
    with sessions.begin() as one, sessions.begin() as other:
        first = job_dispatch.take_due(one, "default", 2, KNOWN, Turns())
        second = job_dispatch.take_due(other, "default", 2, KNOWN, Turns())
    assert len(first.hints) == 2
    assert second == Taken([], more=False), "the other one is at it"


def test_capacity_is_what_living_workers_say(sessions: Sessions) -> None:
    with sessions.begin() as session:
        node_store.beat(session, "n1", "worker", Worker(["video", "ai"], 2, {"a": 1, "b": 3}))
        node_store.beat(session, "n2", "worker", Worker(["ai"], 4, {"a": 2}))
        node_store.beat(session, "n3", "dispatcher")
    with sessions() as session:
        capacity = node_store.capacity(session)
    assert {queue: one.slots for queue, one in capacity.items()} == {"video": 2, "ai": 6}
    assert capacity["ai"].kinds == {"a": 2, "b": 3}
