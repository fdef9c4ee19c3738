"""Parts of a file that are at hand: they never overlap, and the least recently used go first."""

from bisect import bisect_right, insort
from collections import OrderedDict

Range = tuple[int, int]  # [start, end) in bytes


class Pieces:
    """Pieces of bytes by where they start. Those not added with `keep` take at most `room` bytes together, the one
    added last excepted."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._starts: list[int] = []
        self._data: dict[int, bytes] = {}
        self._passing: OrderedDict[int, int] = OrderedDict()  # start -> length, the next to go first
        self._used = 0

    def at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position` on, of one piece; b"" if none holds it."""
        start = self._before(position)
        if start is None or position >= start + len(self._data[start]):
            return b""
        if start in self._passing:
            self._passing.move_to_end(start)
        data = self._data[start]
        begin = position - start
        return data if begin == 0 and len(data) <= size else data[begin : begin + size]

    def add(self, start: int, data: bytes, *, keep: bool) -> None:
        """Take a piece that overlaps no other (see `missing` and `gap`)."""
        if not data:
            return
        insort(self._starts, start)
        self._data[start] = data
        if keep:
            return
        self._passing[start] = len(data)
        self._used += len(data)
        while self._used > self._room and len(self._passing) > 1:
            oldest, length = self._passing.popitem(last=False)
            self._used -= length
            del self._data[oldest]
            self._starts.remove(oldest)

    def missing(self, start: int, end: int) -> list[Range]:
        """The parts of [start, end) that no piece holds."""
        gaps = []
        before = self._before(start)
        if before is not None:
            start = max(start, before + len(self._data[before]))
        for piece in self._starts[bisect_right(self._starts, start - 1) :]:
            if piece >= end:
                break
            if piece > start:
                gaps.append((start, piece))
            start = piece + len(self._data[piece])
        return [*gaps, (start, end)] if start < end else gaps

    def gap(self, position: int, start: int, end: int) -> Range:
        """The part of [start, end) around `position`, which no piece holds, that no piece holds either."""
        return next(gap for gap in self.missing(start, end) if gap[0] <= position < gap[1])

    def _before(self, position: int) -> int | None:
        at = bisect_right(self._starts, position)
        return self._starts[at - 1] if at else None
