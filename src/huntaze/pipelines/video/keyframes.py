"""Look at moments spread over a video, decoding as little as possible, until there is enough to choose from.

Passes, each only if the ones before left cells empty:
1. *by the index*: some I-frames, each decoded alone; then others between neighbours that differ;
2. *by time*: without an index, seek to the I-frame at or before each wanted time;
3. *on to the time*: wanted times without an I-frame near, and shots without one, are reached by decoding on;
4. *in order*: everything from the start, thinned as it grows (no duration, nothing to seek by, a duration that lies).
"""

from __future__ import annotations  # PyAV's Packet is generic in its stubs only

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av
from av.packet import Packet
from av.video.stream import VideoStream

from huntaze.pipelines.video import errors, plan
from huntaze.pipelines.video.alone import Alone
from huntaze.pipelines.video.cursor import Cursor
from huntaze.pipelines.video.errors import MediaError, media_error
from huntaze.pipelines.video.index import Index, read_index
from huntaze.pipelines.video.kept import Finished, Kept
from huntaze.pipelines.video.probe import Limits, Opened, duration_within
from huntaze.pipelines.video.source import Budget, Fetching
from huntaze.pipelines.video.survey import Survey

Progress = Callable[[float, str], None]

# A frame of these is a patch on the one before: an I-frame on its own would be a wrong picture.
_ONLY_IN_ORDER = {"gif"}
# Their index lies somewhere in the file and is read when somebody seeks.
_INDEX_AFTER_SEEK = {"matroska"}
# In order, this many frames are decoded one by one; after that only key frames, so that hours stay affordable.
_EVERY_FRAME = 1500
_STOPS = {errors.TIMEOUT, errors.OVER_BUDGET}


@dataclass(frozen=True)
class FrameSet:
    """What the passes found. `found`: the pictures, 1 to n, ascending and distinct in time, and the poster.

    looked_at: how many they were chosen from. damaged: something on the way did not decode. cut_short: time, bytes or
    frames ran out before every cell was filled. duration_s: as the file says, or as found by reading to its end; None
    when neither.
    """

    found: Finished
    looked_at: int
    damaged: bool
    cut_short: bool
    duration_s: float | None


def wanted_times(duration_s: float, count: int) -> tuple[float, ...]:
    """The middles of `count` equal parts of [0, duration_s], in seconds: not the black first and last frame."""
    return tuple((number + 0.5) * duration_s / count for number in range(count))


class Collector:
    """One run over one open video, for up to `count` pictures inside `box` (width, height).

    fetching: the file, if it can fetch ahead. `progress(fraction, "frames")` is called between frames and may raise,
    which ends the run with that exception.
    """

    def __init__(
        self,
        opened: Opened,
        count: int,
        *,
        box: tuple[int, int],
        poster_width: int,
        limits: Limits,
        budget: Budget,
        progress: Progress,
        fetching: Fetching | None = None,
    ) -> None:
        self._opened = opened
        self._facts = opened.facts
        self._source = opened.source
        self._fetching = fetching
        self._count = count
        self._limits = limits
        self._budget = budget
        self._progress = progress
        self._fraction = 0.0
        self._pixels = opened.stream.width * opened.stream.height
        self._kept = Kept(opened, box, poster_width)
        self._cursor = Cursor(opened, budget, limits.max_frames)

    def collect(self) -> FrameSet:
        """Raises MediaError (media.no_frames, media.too_long; media.timeout and media.over_budget when nothing had
        been found by then) and failures of the reader in their own type."""
        duration_s, cut_short = self._facts.duration_s, False
        try:
            duration_s = self._passes(duration_s)
        except MediaError as error:
            if error.code not in _STOPS or not len(self._kept):
                raise
            cut_short = True
        found = self._kept.finish(self._count, self._cursor.decode_alone)
        if found is None:
            raise media_error(errors.NO_FRAMES)
        return FrameSet(
            found=found,
            looked_at=len(self._kept),
            damaged=self._kept.damaged or self._cursor.damaged,
            cut_short=cut_short or (self._cursor.out_of_frames and len(found.keyframes) < self._count),
            duration_s=duration_s,
        )

    def _passes(self, duration_s: float | None) -> float | None:
        try:
            if self._facts.container not in _ONLY_IN_ORDER:
                self._seeking(duration_s)
            if not self._enough():
                ended_at = self._in_order()
                return duration_s if duration_s is not None else ended_at
        except av.FFmpegError:
            # Neither seeking nor reading on works from here: what there is has to do.
            self._source.check()
            self._cursor.damaged = True
        return duration_s

    def _seeking(self, duration_s: float | None) -> None:
        """Passes 1 to 3."""
        index = self._index()
        if index is None and self._fetching is not None:
            self._fetching.spool(f"no usable index ({self._facts.container})")
        if duration_s is None:
            return
        with Alone(self._opened, self._budget, self._cursor.decode_alone, self._limits) as alone:
            if index is not None:
                survey = Survey(self._opened, self._kept, self._cursor, self._count, self._fetching)
                survey.run(index, lambda packets: self._look_at(alone, packets))
                for spike in survey.unseen(index):
                    self._decode_on([spike])
            else:
                self._by_time(alone, duration_s)
        if len(self._kept) < self._count:
            self._fill(duration_s)

    def _enough(self) -> bool:
        """Reading a long file from end to end is worth it only when most cells are empty."""
        if len(self._kept) >= self._count:
            return True
        short = (self._facts.duration_s or 0.0) * (self._facts.fps or 0.0) <= _EVERY_FRAME
        return not short and len(self._kept) * 2 >= self._count

    def _index(self) -> Index | None:
        if self._facts.container in _INDEX_AFTER_SEEK:
            self._cursor.key_before(0.0)
        return read_index(self._opened)

    def _by_time(self, alone: Alone, duration_s: float) -> None:
        """Pass 2. Where each seek costs requests, no more moments than there are cells."""
        dear = self._fetching is not None and self._fetching.way == "demand"
        count = self._count if dear else plan.candidates(self._count, self._pixels)
        seen: dict[int, Packet[VideoStream]] = {}
        for time_s in wanted_times(duration_s, count):
            packet = self._cursor.key_before(time_s)
            if packet is None:
                break
            seen.setdefault(self._cursor.stamp(packet), packet)
        self._look_at(alone, list(seen.values()))

    def _look_at(self, alone: Alone, packets: Sequence[Packet[VideoStream]]) -> list[int | None]:
        """Keep what the I-frames show; the time stamp of each, None of one that showed nothing new."""
        shown: list[int | None] = []
        for seen in alone.look(packets):
            self._cursor.damaged = self._cursor.damaged or seen.failed
            new = seen.frame is not None and self._kept.keep(seen.frame, seen.packet, seen.thumb, rough=seen.rough)
            shown.append(self._kept.pts_of(seen.frame) if new and seen.frame is not None else None)
            self._report(len(self._kept) / plan.CANDIDATES_MOST)
        return shown

    def _fill(self, duration_s: float) -> None:
        """Pass 3, for wanted times with no picture near. Those that share an I-frame are reached in one go."""
        times = [look.time_s for look in self._kept.looks()]
        near = duration_s / self._count / 2
        groups: dict[int, list[float]] = {}
        for time_s in wanted_times(duration_s, self._count):
            if all(abs(time_s - other) > near for other in times):
                packet = self._cursor.key_before(time_s)
                groups.setdefault(self._cursor.stamp(packet) if packet else 0, []).append(time_s)
        for pending in groups.values():
            self._decode_on(pending)

    def _decode_on(self, pending: list[float]) -> None:
        """Keep the frame shown at each of the ascending times, or the one after it where that is kept already."""
        shown = None
        for frame in self._cursor.anchors_from(pending[0]):
            self._tick()
            now = self._kept.time_of(frame)
            while pending and now > pending[0]:
                if shown is None or not self._kept.keep(shown):
                    self._kept.keep(frame)
                pending = pending[1:]
            if not pending:
                return
            shown = frame
        if shown is not None:
            self._kept.keep(shown)

    def _in_order(self) -> float | None:
        """Pass 4. The time at which the file ended, None if it was not read that far."""
        ended_at = None
        for frame in self._cursor.in_order(_EVERY_FRAME):
            self._tick()
            ended_at = duration_within(self._kept.time_of(frame), self._limits) + 1 / (self._facts.fps or 25.0)
            self._kept.keep_thinned(frame, most=4 * self._count)
        return None if self._cursor.out_of_frames else ended_at

    def _tick(self) -> None:
        """Reaching cells by decoding takes an unknown number of frames: creep towards the end, never reach it."""
        self._report(self._fraction + (1.0 - self._fraction) / 1000)

    def _report(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(fraction, 1.0))
        self._progress(self._fraction, "frames")
