"""Limits of a deployment, kept by the whole fleet."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from huntaze.clients.ai.shaping import RedisShaper
from huntaze.pipelines.ai.deployments import Deployment
from huntaze.pipelines.errors import Transient
from tests.clients.ai.conftest import NewShared
from tests.waiting import until


def deployments(**limits: int) -> dict[str, Deployment]:
    return {"d": Deployment(name="d", model="m", base_url="http://h", **limits)}


def passed(shaper: RedisShaper, calls: int, tokens: int = 1) -> int:
    """How many calls get through at once, without patience."""
    refused = []
    for _ in range(calls):
        try:
            with shaper.take("d", tokens, 0.0):
                pass
        except Transient as error:
            refused.append((error.code, error.retry_after is not None and 0 < error.retry_after <= 60))
    assert set(refused) <= {("ai.rate_limited", True)}
    return calls - len(refused)


def test_requests_a_minute_are_the_fleets(shared: NewShared) -> None:
    known = deployments(requests_per_minute=60)
    here, there = RedisShaper(shared(), known), RedisShaper(shared(), known)
    assert passed(here, 6) + passed(there, 20) in (10, 11), "ten seconds' worth at once"


def test_tokens_a_minute(shared: NewShared) -> None:
    shaper = RedisShaper(shared(), deployments(tokens_per_minute=6000))
    assert passed(shaper, 10, tokens=300) == 3
    large = RedisShaper(shared(), {"d": Deployment(name="e", model="m", base_url="http://h", tokens_per_minute=6000)})
    assert passed(large, 3, tokens=50_000) == 1, "larger than the limit: alone, and the next one waits a minute"


def test_patience_waits_for_the_rate(shared: NewShared) -> None:
    shaper = RedisShaper(shared(), deployments(requests_per_minute=600))
    through = passed(shaper, 120)
    assert 100 <= through < 120
    begun = time.monotonic()
    for _ in range(3):
        with shaper.take("d", 1, 5.0):
            pass
    assert 0.15 < time.monotonic() - begun < 2


def test_calls_at_once_are_bounded_over_the_fleet(shared: NewShared) -> None:
    known = deployments(concurrent=3)
    shapers = [RedisShaper(shared(), known) for _ in range(2)]
    lock, inside, most = threading.Lock(), 0, 0

    def call(number: int) -> None:
        nonlocal inside, most
        with shapers[number % 2].take("d", 1, 20.0):
            with lock:
                inside += 1
                most = max(most, inside)
            until(lambda: most == 3, "three at once")
            with lock:
                inside -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(call, range(24)))
    assert most == 3


def test_a_dead_holders_place_is_free_again(shared: NewShared) -> None:
    quick = Deployment(name="d", model="m", base_url="http://h", concurrent=1, connect_s=0.1, timeout_s=0.1)
    state = shared()
    shaper = RedisShaper(state, {"d": quick})
    held = shaper.take("d", 1, 0.0)
    held.__enter__()
    assert passed(shaper, 1) == 0
    state.ask(lambda client: client.zadd(state.key("calls", "d"), {b"dead": 1}))
    lease = state.ask(lambda client: client.zrange(state.key("calls", "d"), 0, -1, withscores=True))
    assert len(lease) == 2
    for place, _ in lease:  # as if its lease were over
        state.ask(lambda client, place=place: client.zadd(state.key("calls", "d"), {place: 1}))
    assert passed(shaper, 1) == 1
    held.__exit__(None, None, None)


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 1, "concurrent": 1}])
def test_nobody_is_held_back_without_limits_or_without_redis(
    shared: NewShared, dead_url: str, limits: dict[str, int]
) -> None:
    shaper = RedisShaper(shared(dead_url), deployments(**limits))
    begun = time.monotonic()
    assert passed(shaper, 500) == 500
    assert time.monotonic() - begun < 0.5
