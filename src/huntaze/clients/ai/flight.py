"""One call for many equal questions at once, whichever process of the fleet they are asked in.

A lease key says who makes the call; a stream named by the lease's token takes the answer. A stream, as it can be read
by many, and by those that come when it is written already: nothing is missed between looking and listening.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huntaze.clients.ai.shared_state import BLOCK_S, SharedState, SharedStateAway
from huntaze.clients.ai.twins import MemoryFlight

LEASE_S = 5.0  # renewed while the call lasts: a maker that died holds the others up for so long
_KEEP_S = 15.0  # how long an answer lies there for those that still wait
_MOST_WAIT_S = 180.0  # then everybody calls for himself

# KEYS: lease, stream. ARGV: token, answer ('': there is none), milliseconds that the stream is kept.
_LAND = """
    if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
    redis.call('XADD', KEYS[2], '*', 'answer', ARGV[2])
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
"""
# KEYS: lease. ARGV: token, milliseconds.
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end"


class RedisFlight:
    """The port's Flight. The threads of a process agree among themselves first, so one of them at most speaks to
    Redis; where Redis is away that is all, and each process makes its own call."""

    def __init__(self, shared: SharedState, *, lease_s: float = LEASE_S, most_wait_s: float = _MOST_WAIT_S) -> None:
        self._shared, self._lease_ms, self._most_wait_s = shared, round(1000 * lease_s), most_wait_s
        self._here = MemoryFlight()
        self._leases = _Leases(shared, lease_s)

    def once(self, key: str, call: Callable[[], str]) -> str:
        """What `call` returns, whoever made it. What it raises goes to who made it, and the next one tries."""
        return self._here.once(key, lambda: self._fleet(key, call))

    def _fleet(self, key: str, call: Callable[[], str]) -> str:
        token = secrets.token_hex(8)
        try:
            answer = self._wait_or_lead(key, token)
        except SharedStateAway:
            return call()
        if answer:
            return answer
        with self._leases.held(self._lease(key), token):
            try:
                answer = call()
                return answer
            finally:
                self._land(key, token, answer or "")

    def _wait_or_lead(self, key: str, token: str) -> str | None:
        """Somebody else's answer, or None: the call is ours to make."""
        deadline = time.monotonic() + self._most_wait_s
        while time.monotonic() < deadline:
            lease = self._lease(key)
            holder = self._shared.ask(
                lambda client, lease=lease: client.set(lease, token, nx=True, get=True, px=self._lease_ms)  # type: ignore[misc]
            )
            if holder is None:
                return None
            if answer := self._listen(key, bytes(holder), deadline):
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

    def _land(self, key: str, token: str, answer: str) -> None:
        keys, keep_ms = (self._lease(key), self._stream(key, token)), round(1000 * _KEEP_S)
        try:
            self._shared.ask(lambda client: client.eval(_LAND, 2, *keys, token, answer, keep_ms))
        except SharedStateAway:
            return  # the lease runs out

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
