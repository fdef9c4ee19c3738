"""A file object over ranged reads: a demuxer walks through gigabytes in a bucket and fetches a few megabytes.

What costs is the round trip, about as much as 3 MB of transfer. So a small object comes in one request; a large one
begins with its head; what somebody knows will be needed is fetched in parallel beforehand (`fetch_ahead`); what nobody
foresaw comes on demand; and when that happens too often, all of it is copied to disk in one request.
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Final, Literal

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import OVER_BUDGET, media_error
from huntaze.pipelines.video.pieces import Pieces, Range

Fetch = Callable[[int, int], bytes]
Way = Literal["whole", "planned", "demand", "spooled"]

MB: Final = 1 << 20
PARALLEL: Final = 16  # what a first look asks for comes in one round trip: at 35 ms in 70 ms, by eight at a time in 99
_WINDOW_MOST: Final = 4 * MB  # of one request on demand
_PER_MISS: Final = 4 * MB  # what a round trip is worth in bytes of one long request, at 35 ms and 80-120 MB/s
_MISSES: Final = 8


@dataclass(frozen=True)
class Tactics:
    """Sizes in bytes.

    whole_most: objects up to here come in one request, which cannot go wrong half way. Measured at 35 ms and 80 MB/s
        (`benchmarks/video.py`), both are equal at about 3 MB, and at 17 MB a plan takes 0.28 s instead of 0.46.
    head: of the first request for larger ones.
    block: requests on demand are aligned to it.
    tail: while a file is being opened, a read this near to its end takes all up to the end (an index at the back).
    cache: of pieces fetched on demand that are kept.
    spool_most: objects up to here may be copied to disk.
    """

    whole_most: int = 4 * MB
    head: int = MB // 2
    block: int = 64 * 1024
    tail: int = 8 * MB
    cache: int = 16 * MB
    spool_most: int = 1024 * MB


_DEFAULT = Tactics()


class RangeReader:
    """Seekable, read-only view of an object of known size. Use it in a `with`, or `close` it: it may hold a file.

    fetch: `fetch(start, end_exclusive) -> bytes`, exactly `end - start` long; called from several threads at once.
        Whatever it raises comes out of `read` untouched: a fault of the store stays a fault of the store.
    size: bytes.
    stream: `stream()` gives the whole object in chunks, by one request; None where copying to disk is not wanted.
    budget_bytes: most bytes that may be fetched in all; None means no bound.
    deadline: called before each request and between chunks; raises whatever should end the reading.

    Counters: `requests` made, `bytes_read` fetched; `way` and `reason` tell which road was taken.
    """

    def __init__(
        self,
        fetch: Fetch,
        size: int,
        *,
        stream: Callable[[], Iterable[bytes]] | None = None,
        tactics: Tactics = _DEFAULT,
        budget_bytes: int | None = None,
        deadline: Callable[[], None] | None = None,
    ) -> None:
        if size < 0 or tactics.block <= 0 or tactics.head <= 0:
            raise ValueError("size must not be negative, block and head must be positive")
        self.size = size
        self.requests = 0
        self.bytes_read = 0
        self.reason = ""
        self._fetch = fetch
        self._stream = stream
        self._tactics = tactics
        self._budget_bytes = budget_bytes
        self._deadline = deadline
        self._pieces = Pieces(tactics.cache)
        self._disk: IO[bytes] | None = None
        self._position = 0
        self._misses = 0
        self._window = 4 * tactics.block
        self._demanded_to = -1
        self._planned = False

    @property
    def way(self) -> Way:
        """whole: one request. planned: the head, then what was chosen. demand: no plan. spooled: by way of the disk."""
        if self._disk is not None:
            return "spooled"
        if self.size <= self._tactics.whole_most:
            return "whole"
        return "planned" if self._planned else "demand"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        """The position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as `io.BytesIO` does: past the end is allowed and reads nothing.

        Raises ValueError for a position before the start or an unknown `whence`.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"unknown whence {whence}")
        if base + offset < 0:
            raise ValueError(f"position {base + offset} lies before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from here on, all of the rest if negative; b"" at the end. Raises as `read1` does."""
        end = self.size if size < 0 else min(self._position + size, self.size)
        parts = []
        while self._position < end:
            parts.append(self.read1(end - self._position))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int) -> bytes:
        """At least one byte and at most `size`, as many as are at hand from here on; b"" at the end.

        A short answer keeps a demuxer's buffer from fetching what follows a planned piece. Raises
        MediaError(media.over_budget) when the budget would be passed, Transient(store.short_read) when the store hands
        back another number of bytes than was asked for, and anything `fetch`, `stream` or `deadline` raises.
        """
        if size <= 0 or self._position >= self.size:
            return b""
        data = self._at_hand(size)
        if not data:
            self._miss(size)
            data = self._at_hand(size)
        self._position += len(data)
        return data

    def fetch_ahead(self, ranges: Iterable[Range]) -> None:
        """Fetch what will be read, [start, end) each, in parallel. Raises as `read1` does, for the first that fails."""
        self._planned, self._misses, self._window = True, 0, self._tactics.block
        if self._disk is not None or self.way == "whole":
            return
        missing = [gap for start, end in ranges for gap in self._pieces.missing(max(0, start), min(end, self.size))]
        if len(missing) < 2:
            for start, end in missing:
                self._pieces.add(start, self._request(start, end), keep=True)
            return
        with ThreadPoolExecutor(PARALLEL, "ranges") as pool:
            asked = [(start, pool.submit(self._fetch, *self._allowed(start, end)), end) for start, end in missing]
            try:
                for start, answer, end in asked:
                    self._pieces.add(start, _checked(answer.result(), start, end), keep=True)
            finally:
                for _, answer, _ in asked:
                    answer.cancel()

    def spool(self, reason: str) -> bool:
        """Copy the object to a file that has no name and goes with this reader. False where that is not possible:
        no `stream`, or an object over `spool_most` or the budget; then reading goes on as before. Raises as `read1`."""
        if self._disk is not None or self.way == "whole":
            return True
        self.reason = reason
        if self._stream is None or self.size > min(self._tactics.spool_most, self._left()):
            return False
        if self._deadline is not None:
            self._deadline()
        disk = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self.requests += 1
            self._copy(self._stream(), disk)
        except BaseException:
            disk.close()
            raise
        self._disk = disk
        self._pieces = Pieces(0)
        return True

    def close(self) -> None:
        """Let go of the disk and of all pieces; may be called twice."""
        self._pieces = Pieces(0)
        if self._disk is not None:
            self._disk.close()

    def __enter__(self) -> "RangeReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _at_hand(self, size: int) -> bytes:
        if self._disk is not None:
            return os.pread(self._disk.fileno(), size, self._position)
        return self._pieces.at(self._position, size)

    def _miss(self, size: int) -> None:
        """Fetch what holds the position: all, the head, or a window that doubles while reading goes straight on."""
        here, tactics = self._position, self._tactics
        if self.requests == 0 and (self.size <= tactics.whole_most or here < tactics.head):
            end = self.size if self.size <= tactics.whole_most else min(tactics.head, self.size)
            self._pieces.add(0, self._request(0, end), keep=True)
            return
        self._misses += 1
        # A plan is worth some patience; a file whose opening alone jumps about will not get better.
        if self._misses > _MISSES + (self.size // _PER_MISS if self._planned else 0):
            known = "the plan failed" if self._planned else "the index is spread over the file"
            if self.spool(f"{known}: {self._misses} unforeseen requests"):
                return
        start = here // tactics.block * tactics.block
        if here == self._demanded_to:
            self._window = min(2 * self._window, _WINDOW_MOST)
        elif self._planned:
            self._window = tactics.block
        end = -(-max(here + size, start + self._window) // tactics.block) * tactics.block
        if not self._planned and self.size - here <= tactics.tail:
            end = self.size
        start, end = self._pieces.gap(here, start, min(end, self.size))
        self._demanded_to = end
        self._pieces.add(start, self._request(start, end), keep=False)

    def _request(self, start: int, end: int) -> bytes:
        return _checked(self._fetch(*self._allowed(start, end)), start, end)

    def _allowed(self, start: int, end: int) -> Range:
        """The range, counted; raises if it is one too many."""
        if self._deadline is not None:
            self._deadline()
        if end - start > self._left():
            raise media_error(OVER_BUDGET)
        self.requests += 1
        self.bytes_read += end - start
        return start, end

    def _left(self) -> int:
        return sys.maxsize if self._budget_bytes is None else self._budget_bytes - self.bytes_read

    def _copy(self, chunks: Iterable[bytes], disk: IO[bytes]) -> None:
        copied = 0
        for chunk in chunks:
            if self._deadline is not None:
                self._deadline()
            copied += len(chunk)
            self.bytes_read += len(chunk)
            if copied > self.size:
                break
            disk.write(chunk)
        disk.flush()
        if copied != self.size:
            raise _short(copied, self.size)


def _checked(data: bytes, start: int, end: int) -> bytes:
    if len(data) != end - start:
        raise _short(len(data), end - start)
    return data


def _short(got: int, asked: int) -> Transient:
    return Transient("store.short_read", f"The store returned {got} of {asked} bytes; try again.")
