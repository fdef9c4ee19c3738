"""Pick pictures spread over a video, decoding as little as possible.

Three passes, each only if the ones before left cells empty:
1. *key frames*: seek to the I-frame at or before each wanted time and decode that one packet;
2. *on to the time*: wanted times that share an I-frame are reached by decoding on from it;
3. *in order*: everything from the start, thinned as it grows (no duration, no usable index, a duration that lies).
"""

from collections.abc import Callable
from dataclasses import dataclass

import av

from huntaze.pipelines.video import errors
from huntaze.pipelines.video.cursor import Cursor
from huntaze.pipelines.video.errors import MediaError, media_error
from huntaze.pipelines.video.kept import Kept, Keyframe, Poster, spread
from huntaze.pipelines.video.probe import Limits, Opened, duration_within
from huntaze.pipelines.video.source import Budget

Progress = Callable[[float, str], None]

# A frame of these is a patch on the one before: an I-frame on its own would be a wrong picture.
_ONLY_IN_ORDER = {"gif"}
# In order, this many frames are decoded one by one; after that only key frames, so that hours stay affordable.
_EVERY_FRAME = 1500
_STOPS = {errors.TIMEOUT, errors.OVER_BUDGET}


@dataclass(frozen=True)
class FrameSet:
    """What the passes found. `keyframes`: 1 to n, ascending and distinct in time.

    damaged: something on the way did not decode. cut_short: time, bytes or frames ran out before every cell was
    filled. duration_s: as the file says, or as found by reading to its end; None when neither.
    """

    keyframes: tuple[Keyframe, ...]
    poster: Poster
    damaged: bool
    cut_short: bool
    duration_s: float | None


def wanted_times(duration_s: float, count: int) -> tuple[float, ...]:
    """The middles of `count` equal parts of [0, duration_s], in seconds: not the black first and last frame."""
    return tuple((number + 0.5) * duration_s / count for number in range(count))


class Collector:
    """One run over one open video, for up to `count` pictures inside `box` (width, height).

    `progress(fraction, "frames")` is called between frames and may raise, which ends the run with that exception.
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
    ) -> None:
        self._facts = opened.facts
        self._source = opened.source
        self._count = count
        self._limits = limits
        self._progress = progress
        self._fraction = 0.0
        self._kept = Kept(opened, box, poster_width)
        self._cursor = Cursor(opened, budget, limits.max_frames, tick=self._tick)

    def collect(self) -> FrameSet:
        """Raises MediaError (media.no_frames, media.too_long; media.timeout and media.over_budget when nothing had
        been found by then) and failures of the reader in their own type."""
        duration_s, cut_short = self._facts.duration_s, False
        try:
            duration_s = self._passes(duration_s)
        except MediaError as error:
            if error.code not in _STOPS or not self._kept.poster:
                raise
            cut_short = True
        if self._kept.poster is None:
            raise media_error(errors.NO_FRAMES)
        frames = self._kept.frames()
        chosen = spread([frame.time_s for frame in frames], self._count)
        return FrameSet(
            keyframes=tuple(frames[at] for at in chosen),
            poster=self._kept.poster,
            damaged=self._kept.damaged or self._cursor.damaged,
            cut_short=cut_short or (self._cursor.out_of_frames and len(chosen) < self._count),
            duration_s=duration_s,
        )

    def _passes(self, duration_s: float | None) -> float | None:
        try:
            if duration_s is not None and self._facts.container not in _ONLY_IN_ORDER:
                self._by_index(wanted_times(duration_s, self._count))
            if not self._enough():
                ended_at = self._in_order()
                return duration_s if duration_s is not None else ended_at
        except av.FFmpegError:
            # Neither seeking nor reading on works from here: what there is has to do.
            self._source.check()
            self._cursor.damaged = True
        return duration_s

    def _enough(self) -> bool:
        """Reading a long file from end to end is worth it only when most cells are empty."""
        if len(self._kept) >= self._count:
            return True
        short = (self._facts.duration_s or 0.0) * (self._facts.fps or 0.0) <= _EVERY_FRAME
        return not short and len(self._kept) * 2 >= self._count

    def _by_index(self, times: tuple[float, ...]) -> None:
        """Passes 1 and 2."""
        seen: set[int] = set()
        left: dict[int, list[float]] = {}
        for time_s in times:
            packet = self._cursor.key_before(time_s)
            if packet is None:
                return
            stamp = self._cursor.stamp(packet)
            frame = None if stamp in seen else self._cursor.decode_alone(packet)
            seen.add(stamp)
            if frame is None or not self._kept.keep(frame):
                left.setdefault(stamp, []).append(time_s)
            self._report(len(self._kept) / self._count)
        for times_after_one_key in left.values():
            self._decode_on(times_after_one_key)

    def _decode_on(self, pending: list[float]) -> None:
        """Keep the frame shown at each of the ascending times, or the one after it where that is kept already."""
        shown = None
        for frame in self._cursor.frames_from(pending[0]):
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
        """Pass 3. The time at which the file ended, None if it was not read that far."""
        ended_at = None
        for frame in self._cursor.in_order(_EVERY_FRAME):
            ended_at = duration_within(self._kept.time_of(frame), self._limits) + 1 / (self._facts.fps or 25.0)
            self._kept.keep_thinned(frame, most=4 * self._count)
        return None if self._cursor.out_of_frames else ended_at

    def _tick(self) -> None:
        """Reaching cells by decoding takes an unknown number of frames: creep towards the end, never reach it."""
        self._report(self._fraction + (1.0 - self._fraction) / 1000)

    def _report(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(fraction, 1.0))
        self._progress(self._fraction, "frames")
