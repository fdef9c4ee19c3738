"""From a decoded frame to an upright sRGB picture of the wanted size."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from huntaze.pipelines.video.colours import Image, reduce
from huntaze.pipelines.video.tonemap import PEAK


@dataclass(frozen=True)
class Orientation:
    """How the stored picture is turned to be shown: swap rows and columns first, then mirror.

    `rotation` is the part of it that is a turn, in degrees clockwise (0, 90, 180, 270), for people to read.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def rotation(self) -> int:
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> "Orientation":
        """Read the display matrix that came with a frame; upright when there is none.

        The matrix is nine int32 [a b u; c d v; x y w] and maps a stored pixel (x, y) to (a*x + c*y, b*x + d*y),
        y pointing down (ISO/IEC 14496-12, libavutil/display.h). Turns by other than quarters take the nearest.
        """
        try:
            matrix = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]
        except KeyError:
            return cls()
        a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), dtype=np.int32).astype(int).tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, flip_x=a < 0, flip_y=d < 0)
        return cls(True, flip_x=c < 0, flip_y=b < 0)

    def apply(self, image: Image) -> Image:
        """(h, w, 3) as stored -> (h, w, 3) or (w, h, 3) as shown, contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)


def display_size(width: int, height: int, aspect: Fraction, orientation: Orientation) -> tuple[int, int]:
    """Stored size and sample aspect ratio -> (width, height) in square pixels, upright; at least 1x1."""
    shown = max(1, round(width * aspect))
    return (height, shown) if orientation.transpose else (shown, height)


def fit(width: int, height: int, box_width: int, box_height: int, *, enlarge: bool) -> tuple[int, int]:
    """The largest (width, height) of the same shape inside the box; never enlarged unless told so; at least 1x1."""
    scale = min(box_width / width, box_height / height)
    if not enlarge:
        scale = min(scale, 1.0)
    return max(1, min(box_width, round(width * scale))), max(1, min(box_height, round(height * scale)))


class Scaler:
    """Scales frames of one stream into one box, on one shared swscale context (a new one a frame is what costs).

    No frame may be scaled by two threads at once: PyAV takes its colours' tags off meanwhile, and the other one would
    not know it for HDR.
    peak: cd/m2 of its brightest light, for PQ.
    """

    def __init__(
        self, box: tuple[int, int], orientation: Orientation, aspect: Fraction, peak: float = PEAK, *, enlarge: bool
    ) -> None:
        self._box = box
        self._orientation = orientation
        self._aspect = aspect
        self._peak = peak
        self._enlarge = enlarge
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame) -> Image:
        """uint8 (height, width, 3), sRGB, upright, in square pixels, inside the box. Raises av.FFmpegError."""
        shown = display_size(frame.width, frame.height, self._aspect, self._orientation)
        width, height = fit(*shown, *self._box, enlarge=self._enlarge)
        if self._orientation.transpose:
            width, height = height, width
        return self._orientation.apply(reduce(self._reformatter, frame, width, height, fine=True, peak=self._peak))
