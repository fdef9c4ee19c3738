"""Moving about in an open video: to an I-frame, on from it, or straight through; always within the budget."""

from __future__ import annotations  # PyAV's Packet is generic in its stubs only

from collections.abc import Iterator

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from huntaze.pipelines.video import errors
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.probe import Opened
from huntaze.pipelines.video.source import Budget

# Seeking lands late in streams without an index (MPEG-TS goes by decoding times): step back until an I-frame at or
# before the wanted time comes by. Seconds.
_STEPS_BACK = (0.0, 1.0, 4.0, 16.0)
_BEFORE_START = 10.0
_PACKETS_TO_KEY = 2000


class Cursor:
    """One position in one stream. Holds nothing that holds it: decoders are large, and go when the last user does.

    damaged: something did not decode or was marked corrupt. out_of_frames: `max_frames` were decoded.
    Every method raises failures of the reader in their own type, MediaError(media.timeout) when the budget is gone,
    and av.FFmpegError from seeking and demuxing (decoding errors are tolerated).
    """

    def __init__(self, opened: Opened, budget: Budget, max_frames: int) -> None:
        self.opened = opened
        self.damaged = False
        self.out_of_frames = False
        self.decoded = 0
        self._budget = budget
        self._max_frames = max_frames
        self._context = opened.stream.codec_context
        self._packets: Iterator[Packet[VideoStream]] = iter(())

    @staticmethod
    def stamp(packet: Packet[VideoStream]) -> int:
        """Presentation time of a packet in the stream's time base, decoding time where there is none."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        return stamp if stamp is not None else 0

    def key_before(self, time_s: float) -> Packet[VideoStream] | None:
        """Move to the I-frame at or before `time_s` (the first there is, if none is) and take its packet."""
        first_pts, per_second = self.opened.first_pts, 1 / self.opened.time_base
        target = first_pts + int(time_s * per_second)
        nearest = None
        for back in _STEPS_BACK:
            if back > time_s:
                break
            self._seek(target - int(back * per_second))
            packet = self._next_key()
            if packet is not None and self.stamp(packet) <= target:
                return packet
            nearest = nearest or packet
        self._rewind()
        return self._next_key() or nearest

    def key_at(self, aim: int) -> Packet[VideoStream] | None:
        """Move to the I-frame that the index has there (`index.Entry.aim`) and take its packet."""
        self._seek(aim)
        return self._next_key()

    def decode_alone(self, packet: Packet[VideoStream]) -> VideoFrame | None:
        """The one frame of an I-frame's packet.

        `decode(None)` makes the decoder hand it out without waiting for more; flushing lets it start afresh, else
        it would read on through most of the file.
        """
        frames = self._decode(packet) or self._decode(None)
        self._context.flush_buffers()
        return frames[0] if frames else None

    def frames_from(self, time_s: float) -> Iterator[VideoFrame]:
        """Every frame from the I-frame at or before `time_s` on, to the end of the file."""
        packet = self.key_before(time_s)
        if packet is None:
            return
        yield from self._decode_all(packet)

    def anchors_from(self, time_s: float) -> Iterator[VideoFrame]:
        """As `frames_from`, without the frames that no other is made from: up to twice as fast."""
        self._context.skip_frame = "NONREF"
        try:
            yield from self.frames_from(time_s)
        finally:
            self._context.skip_frame = "DEFAULT"

    def in_order(self, every: int) -> Iterator[VideoFrame]:
        """From the start to the end: the first `every` frames all, then key frames only, if there are enough."""
        self._rewind()
        keys = 0
        for packet in self._packets:
            keys += packet.is_keyframe
            if self.decoded < every or keys < 3:
                yield from self._counted(self._decode(packet if packet.size else None))
            elif packet.is_keyframe and packet.size:
                frame = self.decode_alone(packet)
                yield from self._counted([frame] if frame else [])
            if self.out_of_frames:
                break
        self._context.flush_buffers()

    def _decode_all(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        try:
            yield from self._counted(self._decode(packet))
            for following in self._packets:
                yield from self._counted(self._decode(following if following.size else None))
                if self.out_of_frames:
                    return
        finally:
            self._context.flush_buffers()

    def _counted(self, frames: list[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self.decoded += 1
            self.out_of_frames = self.decoded >= self._max_frames
            yield frame

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if self._budget.exhausted():
            raise media_error(errors.TIMEOUT)
        try:
            frames = self._context.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self.damaged = True
            return []
        self.damaged = self.damaged or (packet is not None and packet.is_corrupt)
        return frames

    def _next_key(self) -> Packet[VideoStream] | None:
        for number, packet in enumerate(self._packets):
            if packet.size and packet.is_keyframe:
                return packet
            if number >= _PACKETS_TO_KEY:
                break
        return None

    def _rewind(self) -> None:
        """To the very start: some demuxers count in decoding times, which begin earlier, others refuse such a time."""
        try:
            self._seek(self.opened.first_pts - int(_BEFORE_START / self.opened.time_base))
        except av.FFmpegError:
            self._seek(self.opened.first_pts)

    def _seek(self, stamp: int) -> None:
        with self.opened.source.watching():
            self.opened.container.seek(stamp, stream=self.opened.stream)
        self._packets = _demuxed(self.opened)


def _demuxed(opened: Opened) -> Iterator[Packet[VideoStream]]:
    with opened.source.watching():
        for packet in opened.container.demux(opened.stream):
            opened.source.check()
            yield packet
