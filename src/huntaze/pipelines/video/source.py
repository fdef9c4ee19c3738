"""The one thing FFmpeg may read from: a file object that keeps faults of the store apart from faults of the media.

FFmpeg treats a failed read as the end of the file and goes on with what it has, so a store that was away for a
second would look like a truncated video. Here the first failure is kept, FFmpeg is told "end of file" from then on,
and `check` raises the original before anybody draws a conclusion from what FFmpeg made of it. (Raising inside the
callback works too, but PyAV then keeps the exception per thread until some later call, maybe of another file.)
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import av

from huntaze.pipelines.video.errors import TIMEOUT, media_error

# What FFmpeg takes for "invalid argument" from a seek callback.
_EINVAL = -22
_INVALID_DATA = 1094995529  # AVERROR_INVALIDDATA


class Readable(Protocol):
    """What is asked of a file: `io.BytesIO`, a file opened for reading and `RangeReader` all do.

    read1: what is at hand, at least one byte before the end and at most `size`.
    """

    def read1(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class Fetching(Protocol):
    """What a file may offer besides, as `RangeReader` does: to fetch what will be read, to come by way of the disk."""

    bytes_read: int

    @property
    def way(self) -> str: ...
    def fetch_ahead(self, ranges: Iterable[tuple[int, int]], /) -> None: ...
    def spool(self, reason: str, /) -> bool: ...


class Budget:
    """Seconds of work one file may cost, counted on `clock`.

    The default clock is this thread's CPU time: decoding runs in the calling thread, and a slow store or a busy
    machine must not condemn a good video.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def charge(self, seconds: float) -> None:
        """Work that another thread did for this file."""
        self._end -= seconds

    def exhausted(self) -> bool:
        return self._clock() > self._end


class Source:
    """Wraps `file` of `size` bytes for `av.open`. Has no name, so FFmpeg cannot guess a format by it."""

    def __init__(self, file: Readable, size: int, budget: Budget) -> None:
        self._file = file
        self._size = size
        self._budget = budget
        self._position = 0
        self.failure: BaseException | None = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end and after a failure. Never raises (see the module)."""
        if self.failure is not None:
            return b""
        try:
            if self._budget.exhausted():
                raise media_error(TIMEOUT)
            self._file.seek(self._position)
            # PyAV copies whatever it is given into a buffer of `size`: more would overrun it.
            data = bytes(self._file.read1(size))[:size]
        except BaseException as failure:
            self.failure = failure
            return b""
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position, or a negative number (FFmpeg's error) for one outside of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence)
        if base is None or base + offset < 0:
            return _EINVAL
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def check(self) -> None:
        """Raise the failure of a read, if there was one, in its own type."""
        if self.failure is not None:
            raise self.failure

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around calls of PyAV: what failed in reading is raised in place of what FFmpeg made of it."""
        try:
            yield
        except av.FFmpegError:
            self.check()
            raise
        except IndexError as error:  # PyAV's demuxing, at a packet of a stream that came up after the opening
            self.check()
            raise av.InvalidDataError(_INVALID_DATA, "a stream came up late") from error
        self.check()
