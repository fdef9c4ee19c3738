"""The breaker as a fleet shares it; the rules themselves are tested in tests/pipelines/ai/test_breaker.py."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from huntaze.clients.ai.breaker import RedisBreaker
from huntaze.pipelines.ai.breaker import BreakerPolicy, BreakerState, allow
from tests.clients.ai.conftest import NewShared
from tests.waiting import until

QUICK = BreakerPolicy(min_calls=4, cool_s=0.2, cool_cap_s=0.4, probes=2)
PATIENT = BreakerPolicy(min_calls=4, cool_s=600, cool_cap_s=600)


@pytest.mark.parametrize("away", [False, True])
def test_it_opens_and_closes_by_probes(shared: NewShared, dead_url: str, away: bool) -> None:
    breaker = RedisBreaker(shared(dead_url) if away else shared(), QUICK)
    for ok in (True, True, False, False):
        assert breaker.allows("d")
        breaker.record("d", ok)
    assert not breaker.allows("d")
    assert breaker.allows("another")
    until(lambda: breaker.allows("d"), "the first probe")
    assert not breaker.allows("d"), "one at a time"
    breaker.record("d", False)
    assert not breaker.allows("d")
    for _ in range(2):
        until(lambda: breaker.allows("d"), "a probe")
        breaker.record("d", True)
    assert all(breaker.allows("d") for _ in range(5))


def test_what_one_process_finds_out_all_know(shared: NewShared) -> None:
    here, there = RedisBreaker(shared(), PATIENT), RedisBreaker(shared(), PATIENT)
    assert there.allows("d")
    for _ in range(2):
        here.record("d", False)
        there.record("d", False)
    assert not there.allows("d"), "who has opened it knows at once"
    until(lambda: not here.allows("d"), "the news to come around")


def test_good_calls_count_though_they_are_told_late(shared: NewShared) -> None:
    breaker = RedisBreaker(shared(), PATIENT)
    for _ in range(20):
        breaker.record("d", True)
    for _ in range(19):
        breaker.record("d", False)
    assert breaker.allows("d")
    breaker.record("d", False)
    breaker._seen.clear()
    assert not breaker.allows("d"), "20 of 40"


def test_one_probe_for_all_of_a_fleet(shared: NewShared) -> None:
    breakers = [RedisBreaker(shared(), QUICK) for _ in range(4)]
    for _ in range(4):
        breakers[0].record("d", False)
    state = shared()
    key = state.key("breaker", "d")
    until(lambda: _cooled(breakers[0]), "the cool-down")
    with ThreadPoolExecutor(16) as pool:
        allowed = sum(pool.map(lambda number: breakers[number % 4].allows("d"), range(16)))
    assert allowed == 1
    assert state.ask(lambda client: client.pttl(key)) > 60_000


def test_of_two_that_look_at_once_one_changes_the_state(shared: NewShared) -> None:
    breakers, both = [RedisBreaker(shared(), QUICK) for _ in range(2)], Barrier(2)
    for _ in range(4):
        breakers[0].record("d", False)
    until(lambda: _cooled(breakers[0]), "the cool-down")

    def probe(breaker: RedisBreaker) -> bool:
        looked: list[bool] = []

        def change(state: BreakerState, now: float) -> tuple[bool, BreakerState]:
            if not looked:
                looked.append(True)
                both.wait(20)  # now both have read the same
            return allow(state, now, QUICK)

        return breaker._change("d", change)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(probe, breakers)) == [False, True]


def _cooled(breaker: RedisBreaker) -> bool:
    """Whether the next one would be a probe, without taking it."""
    return breaker._change("d", lambda state, now: (not state.closed and now >= state.open_until, state))
