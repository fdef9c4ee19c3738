"""A bound on what this process may allocate while it looks at a file: what asks for more fails, and nobody is killed.

Sizes are checked before anything is decoded, but a decoder keeps as many pictures as the film tells it to. Without a
bound the kernel would end it, or its neighbour.

What was freed goes back to the system as well. glibc gives every new thread an arena of the heap and keeps what is
freed in each: with the threads of one film after the other, a process that used 25 MB held 490 after 1,200 films.
"""

import ctypes
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huntaze.pipelines.video.errors import OVER_MEMORY, media_error

_STATM = Path("/proc/self/statm")
_NO_ROOM_FOR_A_STACK = "can't start new thread"
_bounding = threading.Lock()

_LIBC = ctypes.CDLL(None)
_ALLOCATOR = hasattr(_LIBC, "malloc_trim")  # glibc's, not musl's
_M_ARENA_MAX = -8
_LEFT_OVER = 64 * 1024 * 1024  # a film may leave this behind: the next one uses it, which is faster than fresh memory


class _Heap:
    """The heap of this process; used under `_bounding`."""

    def __init__(self) -> None:
        self._settled = 0  # bytes in memory after it was last given back

    def share(self) -> None:
        """One arena for all threads to come: what one frees the next one takes; decoders ask too seldom to wait."""
        if _ALLOCATOR:
            _LIBC.mallopt(_M_ARENA_MAX, 1)

    def give_back(self) -> None:
        """What is free goes back to the system, if that is more than `_LEFT_OVER`."""
        if _ALLOCATOR and _in_memory() - self._settled > _LEFT_OVER:
            _LIBC.malloc_trim(0)
            self._settled = _in_memory()


_heap = _Heap()


@contextmanager
def memory_bound(more_bytes: int) -> Iterator[None]:
    """At most so many bytes more than now, of the whole process; raises MediaError(media.over_memory) for what goes
    beyond. Within another thread's bound, and where the system does not tell what is in use, there is no own."""
    try:
        with _bounded(more_bytes):
            yield
    except MemoryError as error:  # FFmpeg's too
        raise media_error(OVER_MEMORY) from error
    except RuntimeError as error:
        if str(error) != _NO_ROOM_FOR_A_STACK:
            raise
        raise media_error(OVER_MEMORY) from error


@contextmanager
def _bounded(more_bytes: int) -> Iterator[None]:
    if not _STATM.exists() or not _bounding.acquire(blocking=False):
        yield
        return
    try:
        _heap.share()
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _pages(5) + more_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (min(_within(soft, wanted), _within(hard, wanted)), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
            _heap.give_back()
    finally:
        _bounding.release()


def _in_memory() -> int:
    """Bytes of this process that are in memory now."""
    return _pages(1)


def _pages(column: int) -> int:
    """A figure of /proc/self/statm in bytes."""
    return int(_STATM.read_text().split()[column]) * resource.getpagesize()


def _within(limit: int, wanted: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(limit, wanted)
