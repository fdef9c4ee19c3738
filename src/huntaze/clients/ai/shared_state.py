"""What the fleet's gateways share in Redis. It may be gone at any moment: then each goes on by itself."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from huntaze.logs import logger
from huntaze.setting_groups import RedisSettings

_log = logger(__name__)

T = TypeVar("T")

ANSWER_S = 0.25  # a Redis in health answers in a millisecond
PAUSE_S = 3.0
# How long a blocking read may block. The connection is given longer: its silence is no fault then.
BLOCK_S = 0.5


class SharedStateAway(Exception):
    """Redis does not answer, or has not just now: go on without."""


class SharedState:
    """Asks Redis with little patience. After a failure nobody asks for `pause_s`, then one does: a Redis that is dead
    costs one caller `ANSWER_S` now and then, and the others nothing. Safe to share between threads."""

    def __init__(self, settings: RedisSettings, *, pause_s: float = PAUSE_S) -> None:
        self.prefix = f"{settings.prefix}ai:"
        self._url, self._pause_s = settings.url.get_secret_value(), pause_s
        self._quick, self._waiting = self._client(ANSWER_S), self._client(BLOCK_S + 1.0)
        self._lock = threading.Lock()
        self._known_away, self._paused_until = False, 0.0  # monotonic time

    def _client(self, timeout_s: float) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=timeout_s,
            socket_connect_timeout=ANSWER_S,
            socket_keepalive=True,
            # Once more at once: a connection of the pool may be a dead one while the server is well.
            retry=Retry(NoBackoff(), 1),
            protocol=3,
        )

    def key(self, *parts: str) -> str:
        """The name of a key of the fleet's."""
        return self.prefix + ":".join(parts)

    def ask(self, question: Callable[[redis.Redis], T], *, blocking: bool = False) -> T:
        """What Redis answers. `blocking`: the question itself may wait for BLOCK_S. Raises SharedStateAway."""
        self._pass()
        try:
            answer = question(self._waiting if blocking else self._quick)
        except redis.RedisError as error:
            self._pause(type(error).__name__)
            raise SharedStateAway from error
        if self._known_away:
            self._known_away, self._paused_until = False, 0.0
            _log.info("shared AI state is back")
        return answer

    def _pass(self) -> None:
        """Raises SharedStateAway during a pause. Who comes first after it lengthens it for the others, and tries."""
        if not self._known_away:
            return
        with self._lock:
            now = time.monotonic()
            if now < self._paused_until:
                raise SharedStateAway
            self._paused_until = now + self._pause_s

    def _pause(self, error: str) -> None:
        with self._lock:
            known, now = self._known_away, time.monotonic()
            self._known_away, self._paused_until = True, now + self._pause_s
        if not known:  # told once, however many have asked at once or will ask
            # Only the kind of the error: the message of a failed connection names the host.
            _log.warning("shared AI state is away: going on without", error=error)

    def close(self) -> None:
        self._quick.close()
        self._waiting.close()
