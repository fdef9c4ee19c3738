"""A file object over ranged reads: a demuxer walks through gigabytes in a bucket and fetches a few megabytes."""

import io
from collections import OrderedDict
from collections.abc import Callable

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import OVER_BUDGET, media_error

Fetch = Callable[[int, int], bytes]


class RangeReader:
    """Seekable, read-only, block-aligned view of an object of known size, with an LRU cache of blocks.

    fetch: `fetch(start, end_exclusive) -> bytes`, exactly `end - start` bytes long. Whatever it raises comes out of
        `read` untouched: a fault of the store stays a fault of the store.
    size: bytes.
    block: bytes a request is aligned to; neighbouring blocks that one read misses travel in one request.
    cache_blocks: blocks kept; memory is about `block * cache_blocks`, plus one read.
    budget_bytes: most bytes that may be fetched in all; None means no bound.
    deadline: called before each request; raises whatever should end the reading.

    Counters: `requests` made, `bytes_read` fetched.
    """

    def __init__(
        self,
        fetch: Fetch,
        size: int,
        *,
        block: int = 256 * 1024,
        cache_blocks: int = 64,
        budget_bytes: int | None = None,
        deadline: Callable[[], None] | None = None,
    ) -> None:
        if size < 0 or block <= 0 or cache_blocks <= 0:
            raise ValueError("size must not be negative, block and cache_blocks must be positive")
        self.size = size
        self.requests = 0
        self.bytes_read = 0
        self._fetch = fetch
        self._block = block
        self._cache_blocks = cache_blocks
        self._budget_bytes = budget_bytes
        self._deadline = deadline
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0

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
        """Up to `size` bytes from here on, all of the rest if negative; b"" at the end.

        Raises MediaError(media.over_budget) when the budget would be passed, Transient(store.short_read) when the
        store hands back another number of bytes than was asked for, and anything `fetch` or `deadline` raises.
        """
        end = self.size if size < 0 else min(self._position + size, self.size)
        if end <= self._position:
            return b""
        first, last = self._position // self._block, (end - 1) // self._block
        held = self._blocks(first, last)
        begin = self._position - first * self._block
        self._position, wanted = end, end - self._position
        if first == last:
            return held[first][begin : begin + wanted]
        return b"".join(held[number] for number in range(first, last + 1))[begin : begin + wanted]

    def _blocks(self, first: int, last: int) -> dict[int, bytes]:
        held: dict[int, bytes] = {}
        missing: list[int] = []
        for number in range(first, last + 1):
            block = self._cache.get(number)
            if block is None:
                missing.append(number)
            else:
                self._cache.move_to_end(number)
                held[number] = block
        while missing:
            run = 1
            while run < len(missing) and missing[run] == missing[0] + run:
                run += 1
            held.update(self._request(missing[0], missing[run - 1]))
            del missing[:run]
        return held

    def _request(self, first: int, last: int) -> dict[int, bytes]:
        start, end = first * self._block, min((last + 1) * self._block, self.size)
        if self._deadline is not None:
            self._deadline()
        if self._budget_bytes is not None and self.bytes_read + (end - start) > self._budget_bytes:
            raise media_error(OVER_BUDGET)
        self.requests += 1
        data = self._fetch(start, end)
        self.bytes_read += len(data)
        if len(data) != end - start:
            raise Transient("store.short_read", f"The store returned {len(data)} of {end - start} bytes; try again.")
        got = {
            number: data[(number - first) * self._block : (number - first + 1) * self._block]
            for number in range(first, last + 1)
        }
        self._cache.update(got)
        while len(self._cache) > self._cache_blocks:
            self._cache.popitem(last=False)
        return got
