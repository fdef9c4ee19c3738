"""The pictures found so far: scaled at once, distinct in time, and bounded in memory."""

from dataclasses import dataclass

import av
from av.video.frame import VideoFrame

from huntaze.pipelines.video.poster import quality
from huntaze.pipelines.video.probe import Opened
from huntaze.pipelines.video.scale import Image, Scaler

_BETTER = 1.02  # a new poster must beat the old by this much: scaling one is the dear part


@dataclass(frozen=True)
class Keyframe:
    """time_s: presentation time in seconds from the first shown frame. image: uint8 (h, w, 3), sRGB, upright.
    pts: in the stream's time base, as decoded."""

    time_s: float
    image: Image
    pts: int


@dataclass(frozen=True)
class Poster:
    """The best picture among all that were looked at; image: uint8 (h, w, 3), sRGB, larger than a cell."""

    time_s: float
    image: Image


def spread(times: list[float], count: int) -> list[int]:
    """Positions of at most `count` of the ascending `times`, ascending and distinct, as even in time as they go.

    For each middle of `count` equal parts, the nearest that leaves enough for the parts after it.
    """
    if len(times) <= count:
        return list(range(len(times)))
    first, chosen = 0, []
    length = times[-1] - times[0]
    for number in range(count):
        middle = times[0] + (number + 0.5) * length / count
        last = len(times) - (count - number)
        best = min(range(first, last + 1), key=lambda at: abs(times[at] - middle))
        chosen.append(best)
        first = best + 1
    return chosen


class Kept:
    """Collects `Keyframe`s inside `box` (width, height) and one poster at most `poster_width` wide."""

    def __init__(self, opened: Opened, box: tuple[int, int], poster_width: int) -> None:
        self.poster: Poster | None = None
        self.damaged = False
        self._opened = opened
        self._cells = Scaler(box, opened.orientation, opened.aspect, enlarge=True)
        self._large = Scaler((poster_width, poster_width), opened.orientation, opened.aspect, enlarge=False)
        self._frames: dict[int, Keyframe] = {}
        self._best = -1.0
        self._gap = self._next = 0.0

    def __len__(self) -> int:
        return len(self._frames)

    def frames(self) -> list[Keyframe]:
        """All kept, ascending in time."""
        return [self._frames[pts] for pts in sorted(self._frames)]

    def time_of(self, frame: VideoFrame) -> float:
        """Seconds from the first shown frame, never negative."""
        return max(0.0, float((self._pts(frame) - self._opened.first_pts) * self._opened.time_base))

    def keep(self, frame: VideoFrame) -> bool:
        """Scale and keep it. False when that moment is kept already or the frame cannot be scaled."""
        pts = self._pts(frame)
        if pts in self._frames:
            return False
        try:
            image = self._cells.scale(frame)
            score = quality(image)
            if score > self._best * _BETTER:
                self.poster = Poster(self.time_of(frame), self._large.scale(frame))
                self._best = score
        except av.FFmpegError:
            self.damaged = True
            return False
        self.damaged = self.damaged or frame.is_corrupt
        self._frames[pts] = Keyframe(self.time_of(frame), image, pts)
        return True

    def keep_thinned(self, frame: VideoFrame, most: int) -> bool:
        """Keep it if it is far enough from the one before. At `most` kept, half of them go and the gap widens."""
        now = self.time_of(frame)
        if now < self._next or not self.keep(frame):
            return False
        self._next = now + self._gap
        if len(self._frames) >= most:
            frames = self.frames()
            times = [kept.time_s for kept in frames]
            self._frames = {frames[at].pts: frames[at] for at in spread(times, most // 2)}
            self._gap = (times[-1] - times[0]) / (most // 2)
            self._next = now + self._gap
        return True

    def _pts(self, frame: VideoFrame) -> int:
        """Containers without presentation times (some AVI) leave the decoding time, which rises just as well."""
        if frame.pts is not None:
            return frame.pts
        return frame.dts if frame.dts is not None else self._opened.first_pts
