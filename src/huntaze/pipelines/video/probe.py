"""Open a file and say what it is, before anything expensive is done with it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from huntaze.pipelines.video import errors
from huntaze.pipelines.video.colours import is_hdr
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.light import peak_of
from huntaze.pipelines.video.locks import open_locked, stated_size
from huntaze.pipelines.video.scale import Orientation, display_size
from huntaze.pipelines.video.source import Source

_PICTURES_BESIDE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_FIRST_FRAME_PACKETS = 500


@dataclass(frozen=True)
class Limits:
    """What one file may cost. Each bound has its own code.

    max_bytes: media.too_large. max_duration_s: media.too_long. max_pixels: media.too_many_pixels, 8K with some
    slack, checked before a picture is decoded. max_streams: media.too_many_streams. decode_seconds: CPU seconds of the
    whole pass, media.timeout when not one picture came out of it, else the pictures so far. memory_bytes: what the
    process may hold beyond what it did before, media.over_memory; pictures of 8K that refer to six others in 10 bit
    take half of it. max_frames: most frames decoded on the way to the wanted ones.
    """

    max_bytes: int = 20 * 10**9
    max_duration_s: float = 6 * 3600.0
    max_pixels: int = 8192 * 4608
    max_streams: int = 100
    decode_seconds: float = 60.0
    memory_bytes: int = 1500 * 10**6
    max_frames: int = 20_000

    @property
    def decoder_pixels(self) -> int:
        """FFmpeg's own bound, for sizes that only a decoder finds out: it counts padded rows, so it gets some more."""
        return self.max_pixels * 5 // 4


@dataclass(frozen=True)
class MediaFacts:
    """What the file says of itself. `width` and `height` are as shown: turned upright, in square pixels.

    container: FFmpeg's demuxer, first name ("mov", "matroska", "gif"). codec: decoder ("h264", "hevc", "vp9").
    rotation: degrees clockwise the stored picture is turned to be shown. duration_s: None when the file does not
    tell. hdr: PQ or HLG transfer.
    """

    container: str
    codec: str
    width: int
    height: int
    rotation: int
    duration_s: float | None
    fps: float | None
    has_audio: bool
    size_bytes: int
    hdr: bool


@dataclass(frozen=True)
class Opened:
    """An open video with its one chosen stream; `first_pts` is the time stamp of the first shown frame, `peak` the
    brightest light in cd/m2, of use for PQ alone."""

    container: InputContainer
    stream: VideoStream
    source: Source
    facts: MediaFacts
    orientation: Orientation
    aspect: Fraction
    time_base: Fraction
    first_pts: int
    peak: float


@contextmanager
def open_video(source: Source, *, size_bytes: int, limits: Limits) -> Iterator[Opened]:
    """Open, choose the stream, decode its first frame, check every limit; close at the end whatever happens.

    Raises MediaError with media.empty, .too_large, .unreadable, .unsupported_format, .no_video, .too_many_streams,
    .too_many_pixels, .too_long, .no_frames or .timeout; MemoryError; a failure of the reader in its own type.
    """
    if size_bytes <= 0:
        raise media_error(errors.EMPTY)
    if size_bytes > limits.max_bytes:
        raise media_error(errors.TOO_LARGE, size_gb=size_bytes / 1e9, limit_gb=limits.max_bytes / 1e9)
    container = open_locked(source, limits.decoder_pixels)
    try:
        if len(container.streams) > limits.max_streams:
            raise media_error(errors.TOO_MANY_STREAMS, count=len(container.streams), limit=limits.max_streams)
        stream = _choose_stream(container)
        _prepare(container, stream, source, limits)
        with source.watching():
            first = _first_frame(container, stream, source)
        yield _describe(container, stream, source, first, size_bytes, limits)
    finally:
        container.close()


def duration_within(duration_s: float, limits: Limits) -> float:
    """The duration itself; raises MediaError(media.too_long) when it is over the limit."""
    if duration_s > limits.max_duration_s:
        raise media_error(errors.TOO_LONG, hours=duration_s / 3600, limit_hours=limits.max_duration_s / 3600)
    return duration_s


def _choose_stream(container: InputContainer) -> VideoStream:
    """The largest of the streams marked as default, else the largest; pictures beside the video do not count."""
    streams = [stream for stream in container.streams.video if not Disposition(stream.disposition) & _PICTURES_BESIDE]
    if not streams:
        raise media_error(errors.NO_VIDEO)
    # PyAV leaves the context out, whatever its stubs say, where this build has no decoder for the stream.
    decodable = [stream for stream in streams if getattr(stream, "codec_context", None)]
    if not decodable:
        raise media_error(errors.UNSUPPORTED_FORMAT)
    return max(
        decodable, key=lambda s: (bool(Disposition(s.disposition) & Disposition.default), s.width * s.height, -s.index)
    )


def _prepare(container: InputContainer, stream: VideoStream, source: Source, limits: Limits) -> None:
    here = source.tell()
    width, height = (stream.width, stream.height) if stream.width else stated_size(source, stream.index)
    source.seek(here)
    _check_pixels(width, height, limits)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    # One thread: decoding that is abandoned half way must leave no thread behind, and time is counted on this one.
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(limits.decoder_pixels)}


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise media_error(errors.TOO_MANY_PIXELS, width=width, height=height, limit_mp=limits.max_pixels / 1e6)


def _first_frame(container: InputContainer, stream: VideoStream, source: Source) -> VideoFrame:
    """The first frame that decodes: rotation, transfer and the zero of our clock are known from frames only."""
    try:
        for number, packet in enumerate(container.demux(stream)):
            source.check()
            if number >= _FIRST_FRAME_PACKETS:
                break
            try:
                frames = stream.codec_context.decode(packet if packet.size else None)
            except av.MemoryError:
                raise
            except av.FFmpegError:
                source.check()
                continue
            if frames:
                return frames[0]
    except av.MemoryError:
        raise
    except (av.FFmpegError, EOFError, IndexError) as error:  # the last: see Source.watching
        source.check()
        raise media_error(errors.NO_FRAMES) from error
    finally:
        if stream.codec_context.is_open:
            stream.codec_context.flush_buffers()
    source.check()
    # Some decoders call it bad data that they got no memory for a picture: is there any for one of its size?
    bytearray(4 * stream.width * stream.height)
    raise media_error(errors.NO_FRAMES)


def _describe(
    container: InputContainer, stream: VideoStream, source: Source, first: VideoFrame, size_bytes: int, limits: Limits
) -> Opened:
    _check_pixels(first.width, first.height, limits)
    orientation, peak = _side_data(first)
    aspect = _aspect(stream)
    width, height = display_size(first.width, first.height, aspect, orientation)
    time_base = stream.time_base or Fraction(1, 1000)
    duration_s = _duration(container, stream)
    facts = MediaFacts(
        container=container.format.name.split(",")[0],
        codec=stream.codec_context.codec.canonical_name,
        width=width,
        height=height,
        rotation=orientation.rotation,
        duration_s=None if duration_s is None else duration_within(duration_s, limits),
        fps=float(stream.average_rate) if stream.average_rate else None,
        has_audio=bool(container.streams.audio),
        size_bytes=size_bytes,
        hdr=is_hdr(first.color_trc),
    )
    first_pts = first.pts if first.pts is not None else stream.start_time or 0
    return Opened(container, stream, source, facts, orientation, aspect, time_base, first_pts, peak)


def _side_data(first: VideoFrame) -> tuple[Orientation, float]:
    """Asks a small copy: PyAV ties a frame whose side data was read into a circle, and a picture of up to 50 MB would
    stay until the garbage collector comes by."""
    with suppress(av.FFmpegError, ValueError):
        first = first.reformat(width=16, height=16, interpolation="FAST_BILINEAR", threads=1)
    return Orientation.of_frame(first), peak_of(first)


def _aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; nonsense counts as square."""
    aspect = stream.sample_aspect_ratio
    return aspect if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / av.time_base
    return None
