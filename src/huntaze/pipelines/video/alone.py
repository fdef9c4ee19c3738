"""I-frames, each decoded on its own, side by side: they need nothing of one another."""

from __future__ import annotations  # PyAV's Packet is generic in its stubs only

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import cast

import av
from av.codec import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from huntaze.pipelines.video import errors
from huntaze.pipelines.video.colours import Image
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.probe import Limits, Opened
from huntaze.pipelines.video.source import Budget
from huntaze.pipelines.video.thumbs import Thumbs

# Codecs whose decoder needs no more of the container than its extradata; others are decoded by the stream's own.
_SELF_CONTAINED = {"h264", "hevc", "vp8", "vp9", "av1"}
_SIDE_BY_SIDE_PIXELS = 4096 * 2304  # of a larger picture one at a time is enough for the memory
_AHEAD = 4  # decoded before anybody asks for them
_ROUGH_PIXELS = 1_000_000  # what is shown much smaller than it is needs no loop filter: 16-49 % of the time


@dataclass(frozen=True)
class Seen:
    """frame: None where the packet gave none. failed: it did not decode. rough: without loop filter."""

    packet: Packet[VideoStream]
    frame: VideoFrame | None
    thumb: Image | None
    failed: bool
    rough: bool


class Alone:
    """Decoders for lone I-frames of one video, a thread each. `own` decodes with the stream's own decoder.

    Use it in a `with`: the threads end with it.
    """

    def __init__(
        self, opened: Opened, budget: Budget, own: Callable[[Packet[VideoStream]], VideoFrame | None], limits: Limits
    ) -> None:
        context = opened.stream.codec_context
        self._peak = opened.peak
        pixels = context.width * context.height
        self._budget = budget
        self._own = own
        self._limits = limits
        self._template = context if context.codec.canonical_name in _SELF_CONTAINED else None
        self._rough = self._template is not None and pixels >= _ROUGH_PIXELS
        threads = min(2, os.cpu_count() or 1) if pixels <= _SIDE_BY_SIDE_PIXELS else 1
        self._mine = threading.local()
        self._pool = ThreadPoolExecutor(threads, "frames") if self._template is not None and threads > 1 else None

    def __enter__(self) -> Alone:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def look(self, packets: Sequence[Packet[VideoStream]]) -> Iterator[Seen]:
        """What each packet shows, in their order. Raises MediaError(media.timeout) when the budget is gone."""
        if self._pool is None or len(packets) < 2:
            for packet in packets:
                yield self._checked(self._see(packet)[0])
            return
        waiting = iter(packets)
        running = deque(self._pool.submit(self._see, packet) for packet in islice(waiting, _AHEAD))
        while running:
            seen, seconds = running.popleft().result()
            running.extend(self._pool.submit(self._see, packet) for packet in islice(waiting, 1))
            self._budget.charge(seconds)
            yield self._checked(seen)

    def _checked(self, seen: Seen) -> Seen:
        if self._budget.exhausted():
            raise media_error(errors.TIMEOUT)
        return seen

    def _see(self, packet: Packet[VideoStream]) -> tuple[Seen, float]:
        begun = time.thread_time()
        frame, failed, thumb = None, False, None
        try:
            frame = self._own(packet) if self._template is None else self._decode(packet)
            if frame is not None:
                thumb = self._thumbs().of(frame)
        except av.EOFError:
            pass
        except av.FFmpegError:
            frame, failed = None, True
        return Seen(packet, frame, thumb, failed or packet.is_corrupt, self._rough), time.thread_time() - begun

    def _decode(self, packet: Packet[VideoStream]) -> VideoFrame | None:
        context = self._context()
        try:
            frames = context.decode(packet) or context.decode(None)
        finally:
            context.flush_buffers()
        return frames[0] if frames else None

    def _thumbs(self) -> Thumbs:
        if not hasattr(self._mine, "thumbs"):
            self._mine.thumbs = Thumbs(self._peak)
        return cast(Thumbs, self._mine.thumbs)

    def _context(self) -> VideoCodecContext:
        """This thread's decoder, like the stream's own in what a frame says of its colours."""
        if not hasattr(self._mine, "context"):
            self._mine.context = self._new_context()
        return cast(VideoCodecContext, self._mine.context)

    def _new_context(self) -> VideoCodecContext:
        like = self._template
        assert like is not None
        context = cast(VideoCodecContext, CodecContext.create(like.codec.name, "r"))
        context.extradata = like.extradata
        context.thread_type, context.thread_count = "NONE", 1
        for name in ("width", "height", "color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(context, name, getattr(like, name))
        context.options = {"max_pixels": str(self._limits.decoder_pixels)}
        if self._rough:
            context.options["skip_loop_filter"] = "all"
        return context
