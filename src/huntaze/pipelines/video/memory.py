"""A bound on what this process may allocate while it looks at a file: what asks for more fails, and nobody is killed.

Sizes are checked before anything is decoded, but a decoder keeps as many pictures as the film tells it to. Without a
bound the kernel would end it, or its neighbour.
"""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huntaze.pipelines.video.errors import OVER_MEMORY, media_error

_STATM = Path("/proc/self/statm")
_NO_ROOM_FOR_A_STACK = "can't start new thread"
_bounding = threading.Lock()


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
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = int(_STATM.read_text().split()[5]) * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (min(_within(soft, wanted), _within(hard, wanted)), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    finally:
        _bounding.release()


def _within(limit: int, wanted: int) -> int:
    return wanted if limit == resource.RLIM_INFINITY else min(limit, wanted)
