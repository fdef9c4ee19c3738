"""Kept answers, and one call for many equal questions at once, whichever process of the fleet they are asked in.

A lease key says who makes the call; a stream named by the lease's token takes the answer. A stream, as it can be read
by many, and by those that come when it is written already. Looking for a kept answer and taking the lease are one step,
and so are keeping and landing: nothing is missed between them, and a call costs two round trips.
"""

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huntaze.clients.ai.flight import Flight
from huntaze.clients.ai.ports import Made
from huntaze.clients.ai.shared_state import BLOCK_S, SharedState, SharedStateAway

LEASE_S = 5.0  # renewed while the call lasts: a maker that died holds the others up for so long
_LANDED_S = 15.0  # how long an answer lies there for those that still wait
_MOST_WAIT_S = 180.0  # then everybody calls for himself
_MOST_BYTES = 128 << 10  # of what is kept: the broker lives in the same memory
_JITTER = 0.1  # answers that were kept together do not run out together

# KEYS: answer, lease. ARGV: token, milliseconds of the lease, 'kept' if a kept answer is of use. Returns the answer, or
# nothing and who holds the lease: nobody, if it is ours now.
_LOOK = """
    local kept = ARGV[3] == 'kept' and redis.call('GET', KEYS[1])
    if kept then return {kept, false} end
    return {false, redis.call('SET', KEYS[2], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])}
"""
# KEYS: answer, lease, stream. ARGV: token, answer ('': there is none), milliseconds that it is kept, and its stream.
_LAND = """
    if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
    if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
    redis.call('XADD', KEYS[3], '*', 'answer', ARGV[2])
    redis.call('PEXPIRE', KEYS[3], ARGV[4])
"""
# KEYS: lease. ARGV: token, milliseconds.
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"


class RedisAnswers:
    """The port's Answers. The threads of a process agree among themselves first, so one of them at most speaks to
    Redis; where Redis is away that is all: nothing is kept, and each process makes its own call."""

    def __init__(self, shared: SharedState, *, lease_s: float = LEASE_S, most_wait_s: float = _MOST_WAIT_S) -> None:
        self._shared, self._lease_ms, self._most_wait_s = shared, round(1000 * lease_s), most_wait_s
        self._here = Flight()
        self._leases = _Leases(shared, lease_s)

    def once(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        """What is kept and usable, or what `make` makes, whoever makes it. What it raises goes to who made it, and the
        next one tries. An answer is kept for its time, a tenth more or less."""
        return self._here.once(key, lambda: self._fleet(key, make, usable))

    def _fleet(self, key: str, make: Callable[[], Made], usable: Callable[[str], bool]) -> str:
        token, made = secrets.token_hex(8), Made("", 0)
        try:
            found = self._find_or_lead(key, token, usable)
        except SharedStateAway:
            return make().text
        if found:
            return found
        with self._leases.held(self._lease(key), token):
            try:
                made = make()
                return made.text
            finally:
                self._land(key, token, made)

    def _find_or_lead(self, key: str, token: str, usable: Callable[[str], bool]) -> str | None:
        """A kept answer, or somebody else's; None: the call is ours to make."""
        deadline, look_for = time.monotonic() + self._most_wait_s, "kept"
        while time.monotonic() < deadline:
            keys = (self._answer(key), self._lease(key))
            kept, holder = self._eval(_LOOK, keys, token, self._lease_ms, look_for)
            if kept is not None:
                if usable(answer := str(kept, "utf-8")):
                    return answer
                look_for = "lease"
            elif holder is None:
                return None
            elif answer := self._listen(key, bytes(holder), deadline) or "":
                return answer
        return None

    def _listen(self, key: str, holder: bytes, deadline: float) -> str | None:
        """What the holder of the lease answers; None if it has failed or died."""
        stream = self._stream(key, holder.decode())
        while time.monotonic() < deadline:
            answer = self._read(stream, block=True)
            if answer is None and self._shared.ask(lambda client: client.get(self._lease(key))) != holder:
                answer = self._read(stream, block=False) or ""  # it may have landed just now
            if answer is not None:
                return answer
        return None

    def _read(self, stream: str, *, block: bool) -> str | None:
        """The entry of a stream: '' for a call that failed, None where there is no entry (yet)."""
        wait_ms = round(1000 * BLOCK_S) if block else None
        found: Any = self._shared.ask(
            lambda client: client.xread({stream: "0"}, count=1, block=wait_ms), blocking=block
        )
        for entries in dict(found or {}).values():
            return str(entries[0][0][1][b"answer"], "utf-8")
        return None

    def _land(self, key: str, token: str, made: Made) -> None:
        body, keys = made.text.encode(), (self._answer(key), self._lease(key), self._stream(key, token))
        keep_ms = round(1000 * made.keep_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - not a secret
        try:
            self._eval(_LAND, keys, token, body, keep_ms if len(body) <= _MOST_BYTES else 0, round(1000 * _LANDED_S))
        except SharedStateAway:
            return  # the lease runs out

    def _eval(self, script: str, keys: tuple[str, ...], *given: str | bytes | int) -> Any:
        return self._shared.ask(lambda client: client.eval(script, len(keys), *keys, *given))

    def _answer(self, key: str) -> str:
        return self._shared.key("answer", key)

    def _lease(self, key: str) -> str:
        return self._shared.key("flight", key)

    def _stream(self, key: str, token: str) -> str:
        return self._shared.key("flight", key, token)

    def close(self) -> None:
        self._leases.close()


class _Leases:
    """Renews what this process holds, from one thread, which starts with the first lease."""

    def __init__(self, shared: SharedState, lease_s: float) -> None:
        self._shared, self._lease_s = shared, lease_s
        self._held: dict[str, str] = {}  # token: key
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, key: str, token: str) -> Iterator[None]:
        with self._lock:
            self._held[token] = key
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="flight-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._held[token]

    def _run(self) -> None:
        while not self._stopped.wait(self._lease_s / 3):
            with self._lock:
                held = list(self._held.items())
            for token, key in held:
                try:
                    self._shared.ask(
                        lambda client, key=key, token=token: client.eval(  # type: ignore[misc]
                            _RENEW, 1, key, token, round(1000 * self._lease_s)
                        )
                    )
                except SharedStateAway:
                    break

    def close(self) -> None:
        self._stopped.set()
