"""Answers that were made already, for five minutes, in Redis. It may be gone at any moment: then each is made anew."""

import time
from collections.abc import Callable

from huntaze.clients.ai.shared_state import SharedState, SharedStateAway
from huntaze.setting_groups import RedisSettings

KEPT_S = 300
MOST_BYTES = 1 << 20  # of an answer that is kept
WAIT_S = 2.0  # for somebody else who makes the same answer
_MAKING_MS = 10_000
_LOOK_S = 0.02


class ReadCache:
    """Safe to share between threads. A key names all that an answer depends on, its reader included: what changes makes
    another key, and the old answer is never asked for again."""

    def __init__(self, settings: RedisSettings) -> None:
        self._state, self._prefix = SharedState(settings), f"{settings.prefix}reads:"

    def answer(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What is kept under the key, else what `make` gives. Of those who ask at once one makes it, and the others
        wait for WAIT_S; whoever waits in vain makes it too."""
        name = self._prefix + key
        try:
            kept = self._look(name) or self._turn(name)
        except SharedStateAway:
            return make()
        if kept is not None:
            return kept
        try:
            made = make()
            if len(made) <= MOST_BYTES:
                self._tell(name, made)
        finally:
            self._let_go(name)
        return made

    def _look(self, name: str) -> bytes | None:
        kept = self._state.ask(lambda redis: redis.get(name))
        return kept if isinstance(kept, bytes) else None

    def _turn(self, name: str) -> bytes | None:
        """None: it is the caller's turn to make it."""
        until = time.monotonic() + WAIT_S
        while not self._state.ask(lambda redis: redis.set(f"{name}:making", b"1", nx=True, px=_MAKING_MS)):
            if time.monotonic() > until:
                return None
            time.sleep(_LOOK_S)
            kept = self._look(name)
            if kept is not None:
                return kept
        # Whoever had the turn before may have finished between the look and the turn.
        last = self._look(name)
        if last is not None:
            self._let_go(name)
        return last

    def _tell(self, name: str, made: bytes) -> None:
        try:
            self._state.ask(lambda redis: redis.set(name, made, ex=KEPT_S))
        except SharedStateAway:
            return

    def _let_go(self, name: str) -> None:
        # It may be another's by now, if this one took too long: then one more makes the answer, no harm.
        try:
            self._state.ask(lambda redis: redis.delete(f"{name}:making"))
        except SharedStateAway:
            return
