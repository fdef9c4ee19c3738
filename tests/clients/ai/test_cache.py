"""Answers in Redis, and what a Redis that is away costs."""

import socket
import time

from huntaze.clients.ai.cache import RedisCache
from huntaze.clients.ai.shared_state import ANSWER_S
from huntaze.setting_groups import RedisSettings
from tests.clients.ai.conftest import NewShared
from tests.waiting import until


def test_an_answer_is_found_by_every_process(shared: NewShared) -> None:
    here, there = RedisCache(shared()), RedisCache(shared())
    assert there.get("k") is None
    here.put("k", '{"text":"hé"}', 60)
    assert there.get("k") == '{"text":"hé"}'
    assert there.get("other") is None


def test_answers_run_out_and_not_all_at_once(shared: NewShared) -> None:
    state = shared()
    cache = RedisCache(state)
    for number in range(50):
        cache.put(f"k{number}", "{}", 100)
    lives = {state.ask(lambda client, n=number: client.pttl(state.key("answer", f"k{n}"))) for number in range(50)}
    assert 89_000 < min(lives) < 97_000 < 103_000 < max(lives) <= 110_000
    cache.put("short", "{}", 0.05)
    until(lambda: cache.get("short") is None, "the answer to run out")


def test_what_is_too_large_or_for_no_time_is_not_kept(shared: NewShared) -> None:
    cache = RedisCache(shared())
    cache.put("large", "x" * 200_000, 60)
    cache.put("never", "{}", 0)
    assert (cache.get("large"), cache.get("never")) == (None, None)


def test_a_redis_that_is_gone_costs_nothing(shared: NewShared, dead_url: str) -> None:
    cache = RedisCache(shared(dead_url))
    begun = time.monotonic()
    for _ in range(1000):
        cache.put("k", "{}", 60)
        assert cache.get("k") is None
    assert time.monotonic() - begun < 0.5


def test_a_redis_that_hangs_is_asked_once_and_then_left_alone(shared: NewShared) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        cache = RedisCache(shared(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        begun = time.monotonic()
        assert cache.get("k") is None
        first = time.monotonic() - begun
        for _ in range(1000):
            assert cache.get("k") is None
        rest = time.monotonic() - begun - first
    assert first < 5 * ANSWER_S
    assert rest < 0.25


def test_a_redis_that_is_back_is_used_again(shared: NewShared, redis_settings: RedisSettings) -> None:
    state = shared(pause_s=0.05)
    cache = RedisCache(state)
    cache.put("k", "{}", 60)
    state._pause("as after a failure")
    assert cache.get("k") is None
    until(lambda: cache.get("k") == "{}", "the pause to end")
