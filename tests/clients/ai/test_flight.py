"""One call for all of the fleet, and nobody waits for the dead. The twin keeps the same promises."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from huntaze.clients.ai.answers import RedisAnswers
from huntaze.clients.ai.ports import Answers, Made, anything
from huntaze.clients.ai.twins import MemoryAnswers
from huntaze.pipelines.errors import Transient
from huntaze.setting_groups import RedisSettings
from tests.clients.ai.conftest import NewShared
from tests.waiting import until

Two = tuple[Answers, Answers]


@pytest.fixture(params=["redis", "memory", "redis away"])
def flights(request: pytest.FixtureRequest, shared: NewShared, dead_url: str) -> Iterator[Two]:
    """Those of two processes; without Redis each process is alone, so they are one."""
    if request.param == "redis":
        both = RedisAnswers(shared()), RedisAnswers(shared())
        yield both
        for one in both:
            one.close()
    else:
        alone = MemoryAnswers() if request.param == "memory" else RedisAnswers(shared(dead_url))
        yield alone, alone


class Counted:
    """A call that takes until `end` is set, for an answer that is kept for `keep_s`."""

    def __init__(self, keep_s: float = 0) -> None:
        self.keep_s, self.calls, self.begun, self.end = keep_s, 0, threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> Made:
        with self._lock:
            self.calls += 1
        self.begun.set()
        assert self.end.wait(20)
        return Made(f"answer {self.calls}", self.keep_s)


def mine() -> Made:
    return Made("mine", 0)


def test_100_equal_questions_at_once_make_one_call(flights: Two) -> None:
    call, arrived = Counted(), threading.Semaphore(0)

    def ask(number: int) -> str:
        arrived.release()
        return flights[number % 2].once("k", call, anything)

    with ThreadPoolExecutor(100) as pool:
        asked = [pool.submit(ask, number) for number in range(100)]
        for _ in asked:
            arrived.acquire()
        call.end.set()
        assert {one.result() for one in asked} == {"answer 1"}
    assert call.calls == 1


def test_other_questions_and_later_ones_are_calls_of_their_own(flights: Two) -> None:
    call = Counted()
    call.end.set()
    asked = [flights[at].once(key, call, anything) for at, key in ((0, "k"), (1, "k"), (0, "j"))]
    assert asked == ["answer 1", "answer 2", "answer 3"]


def test_a_failure_goes_to_its_maker_and_the_next_one_tries(flights: Two) -> None:
    call = Counted()

    def fails() -> Made:
        call()
        raise Transient("ai.timeout", "Too slow.")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights[0].once, "k", fails, anything)
        call.begun.wait(20)
        second = pool.submit(flights[1].once, "k", mine, anything)
        call.end.set()
        with pytest.raises(Transient, match="Too slow"):
            first.result()
        assert second.result() == "mine"


HOLDS = """
    import os, sys, threading
    from huntaze.clients.ai.answers import RedisAnswers
    from huntaze.clients.ai.shared_state import SharedState
    from huntaze.setting_groups import RedisSettings
    answers = RedisAnswers(SharedState(RedisSettings(url=sys.argv[1], prefix=sys.argv[2])), lease_s=0.6)
    def call():
        print("called", flush=True)
        threading.Event().wait(60)
    answers.once("k", call, bool)
"""


def test_the_makers_death_frees_the_others(shared: NewShared, redis_settings: RedisSettings) -> None:
    url = redis_settings.url.get_secret_value()
    program = [sys.executable, "-c", textwrap.dedent(HOLDS), url, redis_settings.prefix]
    call = Counted()
    call.end.set()
    flight = RedisAnswers(shared(), lease_s=0.6)
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "called\n"
        with ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(flight.once, "k", call, anything) for _ in range(20)]
            time_over = time.monotonic() + 1.0  # longer than the lease: it is renewed
            until(lambda: time.monotonic() > time_over, "the first lease to be over")
            assert not any(one.done() for one in waiting)
            maker.send_signal(signal.SIGKILL)
            assert {one.result(timeout=20) for one in waiting} == {"answer 1"}
    assert call.calls == 1
    flight.close()


def test_a_maker_that_lost_its_lease_still_answers_those_that_wait(shared: NewShared) -> None:
    state = shared()
    here, there = RedisAnswers(state), RedisAnswers(shared())
    call = Counted()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(here.once, "k", call, anything)
        call.begun.wait(20)
        second = pool.submit(there.once, "k", mine, anything)
        until(lambda: _blocked(state), "somebody who waits")
        state.ask(lambda client: client.set(state.key("flight", "k"), "somebody else", px=60_000))
        call.end.set()
        assert (first.result(), second.result()) == ("answer 1", "answer 1")
    assert state.ask(lambda client: client.get(state.key("flight", "k"))) == b"somebody else", "not ours to delete"


def _blocked(state: object) -> bool:
    info = state.ask(lambda client: client.info("clients"))  # type: ignore[attr-defined]
    return int(info["blocked_clients"]) > 0


def test_who_waits_too_long_calls_for_himself(shared: NewShared) -> None:
    call = Counted()
    slow, impatient = RedisAnswers(shared()), RedisAnswers(shared(), most_wait_s=0.1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow.once, "k", call, anything)
        call.begun.wait(20)
        assert impatient.once("k", mine, anything) == "mine"
        call.end.set()
        assert first.result() == "answer 1"
