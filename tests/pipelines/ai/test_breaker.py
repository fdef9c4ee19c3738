"""The breaker's rules, as values."""

from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.ai.breaker import CLOSED, BreakerPolicy, BreakerState, allow, record

POLICY = BreakerPolicy(window_s=30, min_calls=4, failure_rate=0.5, cool_s=10, cool_cap_s=40, probes=2, probe_s=60)


def after(*results: bool, state: BreakerState = CLOSED, now: float = 100.0) -> BreakerState:
    for ok in results:
        state = record(state, now, int(ok), int(not ok), POLICY)
    return state


def test_few_calls_say_nothing() -> None:
    assert after(False, False, False).closed
    assert not after(False, False, False, False).closed


def test_the_rate_decides() -> None:
    assert after(True, True, True, False, False).closed
    assert not after(True, True, True, False, False, False).closed
    assert after(False, False, False, True, True).closed, "a good call opens nothing"


def test_what_is_old_is_forgotten() -> None:
    state = after(False, False, False)
    assert not after(False, state=state, now=120.0).closed, "the half before counts"
    assert after(False, state=state, now=131.0).closed


def test_it_cools_longer_each_time() -> None:
    state, now, waits = after(*[False] * 4), 100.0, []
    for _ in range(4):
        waits.append(state.open_until - now)
        now = state.open_until
        assert not allow(state, now - 0.1, POLICY)[0]
        allowed, state = allow(state, now, POLICY)
        assert allowed
        state = record(state, now, 0, 1, POLICY)
    assert waits == [10, 20, 40, 40]


def test_a_probe_is_alone_and_two_good_ones_close_it() -> None:
    state, now = after(*[False] * 4), 110.0
    for _ in range(2):
        assert not state.closed
        allowed, state = allow(state, now, POLICY)
        assert (allowed, allow(state, now, POLICY)[0]) == (True, False)
        state = record(state, now, 1, 0, POLICY)
    assert state == BreakerState(began=now)


def test_a_probe_that_nobody_told_the_end_of_is_dead() -> None:
    _, state = allow(after(*[False] * 4), 110.0, POLICY)
    assert not allow(state, 169.9, POLICY)[0]
    assert allow(state, 170.0, POLICY)[0]


def test_results_of_calls_begun_before_it_opened_change_nothing() -> None:
    state = after(*[False] * 4)
    assert record(state, 105.0, 1, 0, POLICY) == record(state, 105.0, 0, 1, POLICY) == state


STEPS = st.lists(st.tuples(st.booleans(), st.floats(0, 50)), max_size=60)


@settings(max_examples=200)
@given(STEPS)
def test_it_is_never_shut_for_good_and_never_lets_two_probe(steps: list[tuple[bool, float]]) -> None:
    state, now = CLOSED, 1000.0
    for ok, pause in steps:
        now += pause
        allowed, state = allow(state, now, POLICY)
        if allowed and not state.closed:
            assert not allow(state, now, POLICY)[0]
        if allowed:
            state = record(state, now, int(ok), int(not ok), POLICY)
    assert state.closed or allow(state, now + POLICY.cool_cap_s + POLICY.probe_s, POLICY)[0]
    assert BreakerState(**state.to_json()) == state
