"""Numbers that outlive the process that counts them: memory which a pool's parent and all of its children share."""

import mmap
import threading

import billiard

_ROWS = 256  # pages that nobody writes to cost nothing
_BYTES = 8
_WRITER = 0  # the first number of a row says that somebody writes to it


class Cells:
    """`width` floats for each process of a pool, made by the parent before it forks.

    A row has one writer at a time: the child at that place in the pool, and after its death the child that follows it
    there and counts on. So there is no lock that a killed child could take with it, and nothing to clean up after it.
    """

    def __init__(self, width: int) -> None:
        self._width = width + 1
        self._floats = memoryview(mmap.mmap(-1, _ROWS * self._width * _BYTES)).cast("d")

    def writer(self) -> "Writer":
        """The row of the process that asks. To be asked for after the fork."""
        place = getattr(billiard.current_process(), "index", None)  # only a pool's child has one
        row = 0 if place is None else 1 + place % (_ROWS - 1)
        own = self._floats[row * self._width : (row + 1) * self._width]
        own[_WRITER] = 1.0
        return Writer(own[1:])

    def totals(self) -> list[float]:
        """The sums over all processes, the dead ones included."""
        starts = range(0, len(self._floats), self._width)
        rows = [self._floats[start + 1 : start + self._width].tolist() for start in starts if self._floats[start]]
        return [sum(column) for column in zip(*rows, strict=True)] if rows else [0.0] * (self._width - 1)


class Writer:
    """Adds to one row. Safe to share between threads, not between processes."""

    def __init__(self, floats: "memoryview[float]") -> None:
        self._floats = floats
        self._lock = threading.Lock()

    def add(self, *steps: tuple[int, float]) -> None:
        """Adds to several cells: (place, amount)."""
        with self._lock:
            for place, amount in steps:
                self._floats[place] += amount
