"""A breaker for each deployment, shared by the fleet through Redis; each process has its own while Redis is away.

The rules are values (pipelines/ai/breaker.py); Redis keeps the state, compared and set, on its own clock. As long as
all goes well nothing is written, and the state is looked at twice a second.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis

from huntaze.clients.ai.shared_state import SharedState, SharedStateAway
from huntaze.logs import logger
from huntaze.pipelines.ai.breaker import CLOSED, POLICY, BreakerPolicy, BreakerState, allow, record

_log = logger(__name__)

T = TypeVar("T")

# KEYS: state. ARGV: as it was read ('': not there), as it shall be, milliseconds that it is kept.
_SWAP = """
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 1
"""
_KEEP_MS = 600_000
_TRIES = 5  # whoever lost so often lets it be: a count more or less decides nothing
_FRESH_S = 0.5


class RedisBreaker:
    """The port's Breaker. Safe to share between threads."""

    def __init__(
        self, shared: SharedState, policy: BreakerPolicy = POLICY, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared, self._policy, self._clock = shared, policy, clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[BreakerState, float]] = {}  # the fleet's state, when it was looked at
        self._alone: dict[str, BreakerState] = {}  # this process's own, for while Redis is away
        self._good: dict[str, tuple[int, float]] = {}  # calls that went well and are not told yet, since when

    def allows(self, deployment: str) -> bool:
        """Whether the deployment is worth asking now. Where it is being tried again, True makes the caller the one
        who tries, and `record` is waited for."""
        state, at = self._seen.get(deployment, (CLOSED, float("-inf")))
        if state.closed and self._clock() - at < _FRESH_S:
            return True
        return self._change(deployment, lambda state, now: allow(state, now, self._policy))

    def record(self, deployment: str, ok: bool) -> None:
        """The end of a call that was allowed. Good ones are told with the next bad one, as only shares matter."""
        state, _ = self._seen.get(deployment, (CLOSED, 0.0))
        good = self._gather(deployment, ok, keep=ok and state.closed and self._alone.get(deployment, CLOSED).closed)
        if good is not None:
            self._change(deployment, lambda state, now: (None, record(state, now, good, int(not ok), self._policy)))

    def _gather(self, deployment: str, ok: bool, *, keep: bool) -> int | None:
        """How many good calls are to be told now, this one included; None: none yet."""
        now = self._clock()
        with self._lock:
            count, since = self._good.get(deployment, (0, now))
            if now - since > self._policy.window_s:
                count, since = 0, now
            self._good[deployment] = (count + 1, since) if keep else (0, now)
        return None if keep else count + int(ok)

    def _change(self, deployment: str, change: Callable[[BreakerState, float], tuple[T, BreakerState]]) -> T:
        """Applies a change to the fleet's state, or to our own where Redis is away."""
        try:
            answer = self._change_shared(deployment, change)
        except SharedStateAway:
            with self._lock:
                answer, self._alone[deployment] = change(self._alone.get(deployment, CLOSED), self._clock())
        return answer

    def _change_shared(self, deployment: str, change: Callable[[BreakerState, float], tuple[T, BreakerState]]) -> T:
        key = self._shared.key("breaker", deployment)
        for _ in range(_TRIES):
            written, now = self._shared.ask(lambda client: _read(client, key))
            state = BreakerState(**json.loads(written)) if written else CLOSED
            answer, after = change(state, now)
            if after == state or self._swap(key, written, after):
                break
        with self._lock:
            self._seen[deployment] = (after, self._clock())
            self._alone.pop(deployment, None)
        if state.closed != after.closed:
            _log.warning("deployment breaker " + ("closed" if after.closed else "opened"), deployment=deployment)
        return answer

    def _swap(self, key: str, written: bytes, after: BreakerState) -> bool:
        text = json.dumps(after.to_json())
        return bool(self._shared.ask(lambda client: client.eval(_SWAP, 1, key, written, text, _KEEP_MS)))


def _read(client: redis.Redis, key: str) -> tuple[bytes, float]:
    """What is written, and the time in seconds by the server's clock."""
    with client.pipeline(transaction=False) as pipe:
        pipe.get(key)
        pipe.time()
        written, (seconds, micros) = pipe.execute()
    return written or b"", seconds + micros / 1e6
