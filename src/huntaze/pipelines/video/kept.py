"""The pictures found so far: a thumbnail of each at once, the picture itself when it is chosen; bounded in memory."""

from __future__ import annotations  # PyAV's Packet is generic in its stubs only

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from huntaze.pipelines.video import score
from huntaze.pipelines.video.choose import choose
from huntaze.pipelines.video.colours import Image
from huntaze.pipelines.video.plan import spread
from huntaze.pipelines.video.probe import Opened
from huntaze.pipelines.video.scale import Scaler
from huntaze.pipelines.video.thumbs import Thumbs

TILE_BOX = (256, 256)  # width, height of a storyboard's tile at most: Mux's width; Jellyfin's are 320
_ROOM = 64 * 1024 * 1024  # of decoded frames that wait to be chosen; those beyond are scaled at once


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


@dataclass
class Look:
    """One moment that was looked at. thumb: uint8 (36, 64, 3). frame: as decoded, while there is room for it.
    image: as it goes into a cell. packet: of an I-frame, which can be decoded again. rough: without loop filter."""

    time_s: float
    pts: int
    thumb: Image
    frame: VideoFrame | None
    corrupt: bool
    packet: Packet[VideoStream] | None = None
    rough: bool = False
    image: Image | None = None

    def room(self) -> int:
        return sum(plane.buffer_size for plane in self.frame.planes) if self.frame is not None else 0


class Kept:
    """Collects `Look`s; in the end gives `Keyframe`s inside `box` (width, height) and one poster at most
    `poster_width` wide."""

    def __init__(self, opened: Opened, box: tuple[int, int], poster_width: int) -> None:
        self.damaged = False
        self._opened = opened
        self._cells = Scaler(box, opened.orientation, opened.aspect, opened.peak, enlarge=True)
        poster = poster_width, poster_width
        self._large = Scaler(poster, opened.orientation, opened.aspect, opened.peak, enlarge=False)
        self._tiles = Scaler(TILE_BOX, opened.orientation, opened.aspect, opened.peak, enlarge=True)
        self._thumbs = Thumbs(opened.peak)
        self._looks: dict[int, Look] = {}
        self._room = _ROOM
        self._judged: Judged | None = None
        self._gap = self._next = 0.0

    def __len__(self) -> int:
        return len(self._looks)

    def looks(self) -> list[Look]:
        """All kept, ascending in time."""
        return [self._looks[pts] for pts in sorted(self._looks)]

    def time_of(self, frame: VideoFrame) -> float:
        """Seconds from the first shown frame, never negative."""
        return float((self.pts_of(frame) - self._opened.first_pts) * self._opened.time_base)

    def pts_of(self, frame: VideoFrame) -> int:
        """Containers without presentation times (some AVI) leave the decoding time, which rises just as well. What lies
        before the first frame counts as at its time: there is one picture for a time, in files out of order as well."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        return self._opened.first_pts if stamp is None else max(stamp, self._opened.first_pts)

    def keep(
        self,
        frame: VideoFrame,
        packet: Packet[VideoStream] | None = None,
        thumb: Image | None = None,
        *,
        rough: bool = False,
    ) -> bool:
        """Take it in. False when that moment is kept already or the frame cannot be scaled."""
        pts = self.pts_of(frame)
        if pts in self._looks:
            return False
        try:
            thumb = self._thumbs.of(frame) if thumb is None else thumb
            look = Look(self.time_of(frame), pts, thumb, frame, frame.is_corrupt, packet, rough)
            self._hold(look)
        except av.FFmpegError:
            self.damaged = True
            return False
        self.damaged = self.damaged or frame.is_corrupt
        self._looks[pts] = look
        return True

    def keep_thinned(self, frame: VideoFrame, most: int) -> bool:
        """Keep it if it is far enough from the one before. At `most` kept, half of them go and the gap widens."""
        now = self.time_of(frame)
        if now < self._next or not self.keep(frame):
            return False
        self._next = now + self._gap
        if len(self._looks) >= most:
            looks = self.looks()
            times = [look.time_s for look in looks]
            stay = spread(times, most // 2)
            for at in set(range(len(looks))) - set(stay):
                self._room += looks[at].room()
            self._looks = {looks[at].pts: looks[at] for at in stay}
            self._judged = None
            self._gap = (times[-1] - times[0]) / (most // 2)
            self._next = now + self._gap
        return True

    def judged(self) -> Judged:
        """What the pictures kept so far are worth."""
        looks = self.looks()
        if self._judged is None or len(self._judged.times) != len(looks):
            self._judged = Judged.of(looks)
        return self._judged

    def finish(self, count: int, again: Callable[[Packet[VideoStream]], VideoFrame | None]) -> Finished | None:
        """The chosen pictures and the poster; None when nothing is kept that can be scaled.

        again: decodes an I-frame once more, with everything that makes it look well.
        """
        looks, judged = self.looks(), self.judged()
        chosen = choose(judged.times, judged.quality, judged.distances, judged.good, count)
        if not chosen:
            return None
        worth = judged.quality + judged.good
        large = [at for at, look in enumerate(looks) if look.frame is not None or look.packet is not None] or chosen
        best = looks[max(large, key=lambda at: float(worth[at]))]
        with ThreadPoolExecutor(1, "poster") as beside:  # decodes only: see `Scaler` for why it must not scale
            finer = beside.submit(_finer, best, again)
            images = [(looks[at], self._image(looks[at])) for at in chosen]
            whole = [look for at, look in enumerate(looks) if at in chosen or not look.corrupt]
            strip = _keyframes([(look, self._tile(look)) for look in whole])
        keyframes = _keyframes(images)
        if not keyframes:
            return None
        poster = self._poster(best, finer.result() or best.frame)
        return Finished(keyframes, poster or _as_poster(keyframes), strip or keyframes)

    def _hold(self, look: Look) -> None:
        needed = look.room()
        if needed <= self._room:
            self._room -= needed
        else:
            assert look.frame is not None
            look.image, look.frame = self._cells.scale(look.frame), None

    def _image(self, look: Look) -> Image | None:
        if look.image is None and look.frame is not None:
            try:
                look.image = self._cells.scale(look.frame)
            except av.FFmpegError:
                self.damaged = True
        return look.image

    def _tile(self, look: Look) -> Image | None:
        """For the storyboard: what is scaled already has to do, and is larger."""
        if look.image is not None or look.frame is None:
            return look.image
        try:
            return self._tiles.scale(look.frame)
        except av.FFmpegError:
            return None

    def _poster(self, look: Look, frame: VideoFrame | None) -> Poster | None:
        try:
            image = look.image if frame is None else self._large.scale(frame)
        except av.FFmpegError:
            return None
        return None if image is None else Poster(look.time_s, image)


def _finer(look: Look, again: Callable[[Packet[VideoStream]], VideoFrame | None]) -> VideoFrame | None:
    """Decoded once more where it was let go or decoded roughly; a frame that nobody else holds."""
    return again(look.packet) if look.packet is not None and (look.frame is None or look.rough) else None


@dataclass(frozen=True)
class Judged:
    """`score` of the looks, in their order; corrupt ones are not good."""

    times: tuple[float, ...]
    quality: score.Floats
    distances: score.Floats
    good: score.Bools

    @classmethod
    def of(cls, looks: list[Look]) -> Judged:
        thumbs = score.stack([look.thumb for look in looks])
        whole = np.array([not look.corrupt for look in looks], dtype=np.bool_)
        return cls(
            tuple(look.time_s for look in looks),
            score.quality(thumbs),
            score.distances(thumbs),
            score.good(thumbs) & whole,
        )


@dataclass(frozen=True)
class Finished:
    """What goes into the cells, ascending in time, and the poster. strip: all that was looked at and is whole, and
    what is in the cells, for the storyboard, ascending in time, tiles or larger."""

    keyframes: tuple[Keyframe, ...]
    poster: Poster
    strip: tuple[Keyframe, ...]


def _keyframes(images: list[tuple[Look, Image | None]]) -> tuple[Keyframe, ...]:
    return tuple(Keyframe(look.time_s, image, look.pts) for look, image in images if image is not None)


def _as_poster(keyframes: tuple[Keyframe, ...]) -> Poster:
    middle = keyframes[len(keyframes) // 2]
    return Poster(middle.time_s, middle.image)
