"""How a file is opened that nobody trusts: FFmpeg gets our reader and a short list of formats, and nothing else."""

import av
from av.container import InputContainer

from huntaze.pipelines.video import errors
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.source import Source

# Demuxers that hold moving pictures within one file. Left out on purpose: everything that names other files
# (hls, concat, dash, image2, sdp, rtsp), the still image pipes, text art (tty, svg) and raw streams without times.
CONTAINERS = ("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "gif", "ogg", "asf", "mxf", "dv", "ivf")

# Matroska, RIFF (AVI), FLV, GIF, Ogg, MPEG program and transport stream, ASF; what QuickTime and MP4 may begin with.
_SIGNATURES = (b"\x1a\x45\xdf\xa3", b"RIFF", b"FLV", b"GIF8", b"OggS", b"\0\0\1\xba", b"\x47", b"\x30\x26\xb2\x75")
_MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"}


def open_locked(source: Source, max_pixels: int) -> InputContainer:
    """Three locks, each enough alone: only whitelisted demuxers, no protocol, and a callback that opens nothing.

    No decoder that FFmpeg starts meanwhile takes a picture of more than `max_pixels`. Raises MediaError with
    media.unsupported_format or .unreadable, MemoryError, and a failure of the reader in its own type.
    """
    try:
        return _open(source, {"max_pixels": str(max_pixels)})
    except av.MemoryError:
        raise
    except av.FFmpegError as error:
        # "Invalid argument" is how FFmpeg reports a demuxer that is not on the whitelist, and now and then a file
        # that ends too early.
        other_kind = isinstance(error, av.ArgumentError) and not _begins_like_video(source)
        raise media_error(errors.UNSUPPORTED_FORMAT if other_kind else errors.UNREADABLE) from error


def stated_size(source: Source, stream_index: int) -> tuple[int, int]:
    """Width and height as the container states them, (0, 0) where it does not: of a stream whose decoder refused its
    size, which wipes the figures out. Opens once more, without any decoder."""
    source.seek(0)
    try:
        with _open(source, {"codec_whitelist": "none"}) as container:
            found = [stream for stream in container.streams.video if stream.index == stream_index]
            return (found[0].width, found[0].height) if found else (0, 0)
    except av.FFmpegError:
        return 0, 0


def _open(source: Source, options: dict[str, str]) -> InputContainer:
    with source.watching():
        return av.open(
            source,
            mode="r",
            options=options,
            container_options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "none"},
            metadata_errors="replace",
            io_open=_refuse_other_files,
        )


def _refuse_other_files(url: str, flags: int, options: dict[str, str]) -> object:  # noqa: ARG001 -- PyAV's signature
    raise media_error(errors.UNSUPPORTED_FORMAT)


def _begins_like_video(source: Source) -> bool:
    source.seek(0)
    head = source.read(12)
    source.check()
    return head.startswith(_SIGNATURES) or head[4:8] in _MOV_BOXES
