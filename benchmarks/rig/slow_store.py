"""An object store some way off: every request waits, and all of them share one line."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

LATENCY_S = 0.035
BYTES_PER_S = 80e6
_CHUNK = 1 << 20


class SlowStore:
    """One object. Safe to share between threads."""

    def __init__(self, path: Path, *, latency_s: float = LATENCY_S, bytes_per_s: float = BYTES_PER_S) -> None:
        self._body = path.read_bytes()
        self._latency_s = latency_s
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0
        self.size = len(self._body)

    def fetch(self, start: int, end: int) -> bytes:
        """Bytes [start, end)."""
        time.sleep(self._latency_s)
        self._transfer(end - start)
        return self._body[start:end]

    def stream(self) -> Iterator[bytes]:
        """All of it, by one request."""
        time.sleep(self._latency_s)
        for start in range(0, self.size, _CHUNK):
            chunk = self._body[start : start + _CHUNK]
            self._transfer(len(chunk))
            yield chunk

    def _transfer(self, size: int) -> None:
        with self._lock:
            self._free_at = max(self._free_at, time.perf_counter()) + size / self._bytes_per_s
            until = self._free_at
        time.sleep(max(0.0, until - time.perf_counter()))
