"""When a deployment is worth asking: a circuit breaker as values, so that a fleet can share one. Times are seconds of
one clock, whichever.

closed -> open       at least `min_calls` within the window, `failure_rate` of them failed
open -> half-open    after `cool_s`, doubled for each time in a row, at most `cool_cap_s`
half-open            one probe at a time; `probes` good ones close it, a bad one opens it again
"""

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class BreakerPolicy:
    """`probe_s`: after so long a probe that nobody told the end of counts as dead."""

    window_s: float = 30.0
    min_calls: int = 8
    failure_rate: float = 0.5
    cool_s: float = 10.0
    cool_cap_s: float = 120.0
    probes: int = 2
    probe_s: float = 60.0


@dataclass(frozen=True)
class BreakerState:
    """`began`: of the current half of the window; `ok` and `failed` count in it, `*_before` in the half before.
    `opened`: how often in a row; 0: closed. `open_until`: no call before. `probing_until`: a probe is under way."""

    began: float = 0.0
    ok: int = 0
    failed: int = 0
    ok_before: int = 0
    failed_before: int = 0
    opened: int = 0
    open_until: float = 0.0
    probing_until: float = 0.0
    probed: int = 0

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def closed(self) -> bool:
        return self.opened == 0


POLICY = BreakerPolicy()
CLOSED = BreakerState()


def allow(state: BreakerState, now: float, policy: BreakerPolicy = POLICY) -> tuple[bool, BreakerState]:
    """Whether a call may be made, and the state after that: a probe is taken by being allowed."""
    if state.closed:
        return True, state
    if now < state.open_until or now < state.probing_until:
        return False, state
    return True, replace(state, probing_until=now + policy.probe_s)


def record(state: BreakerState, now: float, ok: int, failed: int, policy: BreakerPolicy = POLICY) -> BreakerState:
    """The state after so many calls that ended, well or not."""
    if not state.closed:
        return _probed(state, now, failed == 0, policy) if now >= state.open_until else state  # else: begun before
    turned = _turned(state, now, policy)
    counted = replace(turned, ok=turned.ok + ok, failed=turned.failed + failed)
    bad = counted.failed + counted.failed_before
    calls = bad + counted.ok + counted.ok_before
    if failed and calls >= policy.min_calls and bad >= policy.failure_rate * calls:
        return _open(0, now, policy)
    return counted


def _turned(state: BreakerState, now: float, policy: BreakerPolicy) -> BreakerState:
    """With the halves of the window moved up to now."""
    half = policy.window_s / 2
    if now - state.began < half:
        return state
    if now - state.began < 2 * half:
        return BreakerState(began=now, ok_before=state.ok, failed_before=state.failed)
    return BreakerState(began=now)


def _open(opened: int, now: float, policy: BreakerPolicy) -> BreakerState:
    cool = min(policy.cool_s * 2**opened, policy.cool_cap_s)
    return BreakerState(opened=opened + 1, open_until=now + cool)


def _probed(state: BreakerState, now: float, ok: bool, policy: BreakerPolicy) -> BreakerState:
    if not ok:
        return _open(min(state.opened, 16), now, policy)
    if state.probed + 1 >= policy.probes:
        return BreakerState(began=now)
    return replace(state, probed=state.probed + 1, probing_until=0.0)
