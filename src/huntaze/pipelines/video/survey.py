"""The pass over an index: look at some I-frames, see where they differ, look there again."""

from __future__ import annotations  # PyAV's Packet is generic in its stubs only

from collections.abc import Callable, Sequence
from itertools import pairwise

from av.packet import Packet
from av.video.stream import VideoStream

from huntaze.pipelines.video import plan
from huntaze.pipelines.video.choose import DIFFERENT, shots
from huntaze.pipelines.video.cursor import Cursor
from huntaze.pipelines.video.index import Entry, Index, read_spikes
from huntaze.pipelines.video.kept import Kept
from huntaze.pipelines.video.probe import Opened
from huntaze.pipelines.video.source import Fetching

LookAt = Callable[["Sequence[Packet[VideoStream]]"], "Sequence[int | None]"]

_ROUNDS = 4
_EXTRA = 2  # further rounds may read this many times what the first may, to find scenes that it missed
_INTO_SHOT_S = 0.2  # behind a cut there may be frames that are shown before it
_SPIKE_PIXELS = 240 * 640 * 360  # decoded on the way to shots without an I-frame: a tenth or two of a second


class Survey:
    """One survey of one open video, for `count` cells. fetching: the file, if it can fetch ahead."""

    def __init__(self, opened: Opened, kept: Kept, cursor: Cursor, count: int, fetching: Fetching | None) -> None:
        self._opened = opened
        self._kept = kept
        self._cursor = cursor
        self._count = count
        self._fetching = fetching
        self._size = opened.facts.size_bytes
        self._pixels = opened.stream.width * opened.stream.height
        self._shown: dict[int, int] = {}  # position among the keys -> time stamp of what it showed

    def run(self, index: Index, look_at: LookAt) -> None:
        """Looks at I-frames until there are as many shots as cells, or nothing left that promises another."""
        keys = index.keys
        most = min(plan.candidates_most(self._count, self._pixels), len(keys))
        picked = plan.pick_within(keys, plan.candidates(self._count, self._pixels), self._count, self._room(1))
        tried: set[int] = set()
        for _ in range(_ROUNDS):
            self._look_at(keys, picked, look_at)
            tried.update(picked)
            if len(tried) >= most or self._enough():
                break
            picked = self._next(keys, tried, min(self._count, most - len(tried)))
            if not picked:
                break

    def unseen(self, index: Index) -> list[float]:
        """Times within shots that have no I-frame, as far as it is cheap to decode up to them; none where there are
        shots enough."""
        times, left = list[float](), _SPIKE_PIXELS
        for spike in () if self._enough() else read_spikes(self._opened, index)[: self._count]:
            left -= spike.distance * self._pixels
            end = spike.entry.pos + 2 * spike.entry.size
            room = self._room(_EXTRA)
            if left < 0 or (room is not None and end - spike.from_pos > room):
                break
            if self._fetching is not None:
                self._fetching.fetch_ahead([(spike.from_pos, end)])
            times.append(spike.entry.time_s + _INTO_SHOT_S)
        return times

    def _enough(self) -> bool:
        return shots(self._kept.judged().distances) >= self._count

    def _room(self, times: int) -> int | None:
        """How many bytes more may be read of a large object; None where bytes cost nothing."""
        if self._fetching is None or self._fetching.way in ("whole", "spooled"):
            return None
        return times * plan.bytes_most(self._size, self._count) - self._fetching.bytes_read

    def _look_at(self, keys: Sequence[Entry], picked: Sequence[int], look_at: LookAt) -> None:
        if self._fetching is not None:
            self._fetching.fetch_ahead(plan.ranges(keys, picked))
        packets = {at: packet for at in picked if (packet := self._cursor.key_at(keys[at].aim)) is not None}
        for at, stamp in zip(packets, look_at(list(packets.values())), strict=True):
            if stamp is not None:
                self._shown[at] = stamp

    def _next(self, keys: Sequence[Entry], tried: set[int], count: int) -> list[int]:
        """Where neighbours differ, or the sizes of what lies between them do."""
        stamps = [look.pts for look in self._kept.looks()]
        place = {stamp: at for at, stamp in enumerate(stamps)}
        distances = self._kept.judged().distances
        seen = sorted(at for at, stamp in self._shown.items() if stamp in place)
        differ = [
            max(
                float(distances[place[self._shown[one]], place[self._shown[other]]]),
                DIFFERENT if plan.news_between(keys, one, other) else 0.0,
            )
            for one, other in pairwise(seen)
        ]
        picked = [at for at in plan.between(seen, differ, len(keys), count, DIFFERENT) if at not in tried]
        room = self._room(_EXTRA)
        while room is not None and picked and plan.total(plan.ranges(keys, picked)) > room:
            picked.pop()
        return sorted(picked)
