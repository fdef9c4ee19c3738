"""Answers that are kept in Redis, and what a Redis that is away costs."""

import socket
import time

from huntaze.clients.ai.answers import RedisAnswers
from huntaze.clients.ai.ports import Made, anything
from huntaze.clients.ai.shared_state import ANSWER_S
from tests.clients.ai.conftest import NewShared
from tests.waiting import until


def kept(answers: RedisAnswers, key: str) -> str | None:
    """What lies there; looking makes nothing that stays."""
    found = answers.once(key, lambda: Made("nothing", 0), anything)
    return None if found == "nothing" else found


def keep(answers: RedisAnswers, key: str, text: str, keep_s: float = 60) -> str:
    return answers.once(key, lambda: Made(text, keep_s), anything)


def test_an_answer_is_found_by_every_process(shared: NewShared) -> None:
    here, there = RedisAnswers(shared()), RedisAnswers(shared())
    assert kept(there, "k") is None
    assert keep(here, "k", '{"text":"hé"}') == '{"text":"hé"}'
    assert kept(there, "k") == '{"text":"hé"}'
    assert kept(there, "other") is None


def test_what_is_not_usable_is_made_anew_and_replaced(shared: NewShared) -> None:
    here, there = RedisAnswers(shared()), RedisAnswers(shared())
    keep(here, "k", "of an older release")
    assert there.once("k", lambda: Made("new", 60), lambda text: text != "of an older release") == "new"
    assert kept(here, "k") == "new"


def test_answers_run_out_and_not_all_at_once(shared: NewShared) -> None:
    state = shared()
    answers = RedisAnswers(state)
    for number in range(50):
        keep(answers, f"k{number}", "{}", 100)
    lives = {state.ask(lambda client, n=number: client.pttl(state.key("answer", f"k{n}"))) for number in range(50)}
    assert 89_000 < min(lives) < 97_000 < 103_000 < max(lives) <= 110_000
    keep(answers, "short", "{}", 0.05)
    until(lambda: kept(answers, "short") is None, "the answer to run out")


def test_what_is_too_large_or_for_no_time_is_not_kept(shared: NewShared) -> None:
    answers = RedisAnswers(shared())
    assert keep(answers, "large", "x" * 200_000) == "x" * 200_000
    keep(answers, "never", "{}", 0)
    assert (kept(answers, "large"), kept(answers, "never")) == (None, None)


def test_a_redis_that_is_gone_costs_nothing(shared: NewShared, dead_url: str) -> None:
    answers = RedisAnswers(shared(dead_url))
    begun = time.monotonic()
    for _ in range(1000):
        keep(answers, "k", "{}")
        assert kept(answers, "k") is None
    assert time.monotonic() - begun < 0.5


def test_a_redis_that_hangs_is_asked_once_and_then_left_alone(shared: NewShared) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        answers = RedisAnswers(shared(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        begun = time.monotonic()
        assert kept(answers, "k") is None
        first = time.monotonic() - begun
        for _ in range(1000):
            assert kept(answers, "k") is None
        rest = time.monotonic() - begun - first
    assert first < 5 * ANSWER_S
    assert rest < 0.25


def test_a_redis_that_is_back_is_used_again(shared: NewShared) -> None:
    state = shared(pause_s=0.05)
    answers = RedisAnswers(state)
    keep(answers, "k", "{}")
    state._pause("as after a failure")
    assert kept(answers, "k") is None
    until(lambda: kept(answers, "k") == "{}", "the pause to end")
