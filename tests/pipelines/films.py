"""Films made to measure. Seven bars spell the number of the frame in binary, so a picture tells what time it is."""

import io
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import PIL.Image
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from huntaze.pipelines.video.extract import Extraction
from huntaze.pipelines.video.sample import write_sample

FPS = 25
BITS = 7
SIZE = (16 * BITS, 64)


class _Pipe(io.RawIOBase):
    """Can only be written forward: a muxer leaves duration and index out."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)


def bars(number: int) -> NDArray[np.uint8]:
    """uint8 (64, 112, 3): the number's bits from left to right, highest first, white for one."""
    levels = [230 if number >> bit & 1 else 25 for bit in reversed(range(BITS))]
    row = np.repeat(np.array(levels, dtype=np.uint8), SIZE[0] // BITS)
    return np.broadcast_to(row[None, :, None], (SIZE[1], SIZE[0], 3)).copy()


def noise(number: int) -> NDArray[np.uint8]:
    """Pictures that do not compress, for films that take many requests."""
    return np.random.default_rng(number).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


def busy(number: int) -> NDArray[np.uint8]:
    """A picture a second, each unlike the others, and in each something that moves: I- and P-frames as in footage."""
    picture = noise(number // 25)
    picture[20:44, 30:80] = noise(1000 + number)[20:44, 30:80]
    return picture


@cache
def film(
    count: int,
    *,
    codec: str = "libx264",
    container: str = "mp4",
    gop: int = 12,
    rotation: tuple[float, bool, bool] | None = None,
    aspect: Fraction | None = None,
    indexed: bool = True,
    picture: Callable[[int], NDArray[np.uint8]] = bars,
    options: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A film of `count` frames, 25 a second; `rotation` is (degrees, hflip, vflip) of the display matrix."""
    out = io.BytesIO() if indexed else _Pipe()
    with av.open(out, "w", format=container, options=dict(options)) as film_:
        stream = film_.add_stream(codec, rate=FPS, options={"threads": "1", "sc_threshold": "0"})
        stream.height, stream.width = picture(0).shape[:2]
        stream.pix_fmt, stream.gop_size = "yuv420p", gop
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            degrees, hflip, vflip = rotation
            stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        for number in range(count):
            film_.mux(stream.encode(VideoFrame.from_ndarray(picture(number), format="rgb24")))
        film_.mux(stream.encode())
    return out.getvalue() if isinstance(out, io.BytesIO) else bytes(out.data)


def fast_start(data: bytes) -> bytes:
    """The same film as an MP4 with its index in front."""
    with tempfile.TemporaryDirectory() as folder, av.open(io.BytesIO(data)) as source:
        path = Path(folder) / "film.mp4"
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        return path.read_bytes()


@cache
def gif(count: int) -> bytes:
    """A GIF whose frames are patches: a white bar that grows, one column of ten pixels a frame, 10 a second."""
    frames = []
    for number in range(count):
        picture = np.zeros((64, 160, 3), dtype=np.uint8)
        picture[:, : 10 * (number + 1)] = 255
        frames.append(PIL.Image.fromarray(picture))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


@cache
def sample() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder) / "sample.mp4")
        return (Path(folder) / "sample.mp4").read_bytes()


def jpeg(size: tuple[int, int]) -> bytes:
    """A still picture of (width, height)."""
    out = io.BytesIO()
    PIL.Image.new("RGB", size, (200, 120, 40)).save(out, "JPEG")
    return out.getvalue()


def frame_shown(extraction: Extraction, at: int) -> int:
    """Which frame of a `film` a cell shows, by its bars."""
    left, top, right, _ = extraction.grid.cells[at].box
    row = extraction.grid.image[top + (448 - 36) // 2, left + 2 : right - 2].mean(axis=1)
    width = len(row) / BITS
    levels = [row[int((bar + 0.3) * width) : int((bar + 0.7) * width)].mean() for bar in range(BITS)]
    return sum(int(level > 128) << (BITS - 1 - bar) for bar, level in enumerate(levels))
