"""One picture made of many: numbered, timed cells, row by row, as a vision model is shown a video.

A cell is 448 x 448 because Phi-4 Multimodal's processor cuts pictures into 448 px crops: on a canvas that is a
multiple of it every cell is one crop. The picture sits above a label bar that is always there.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from huntaze.pipelines.video.colours import Image
from huntaze.pipelines.video.kept import Keyframe

CELL = 448
BAR = 36
GUTTER = 2  # dark line left and right, so that neighbours do not run into one another
PICTURE_BOX = (CELL - 2 * GUTTER, CELL - BAR)  # the room for the picture, (width, height) in pixels
SQUARES = (1, 4, 9, 16)
_CROPS_MOST = 36

_DARK = (16, 16, 16)
_TEXT = (255, 255, 255)
_FONT = PIL.ImageFont.load_default(size=26)  # drawn by Pillow itself, the same on every machine


@dataclass(frozen=True)
class Cell:
    """One cell. index: from 1, as drawn on it. row, column: from 0. time_s: seconds from the first shown frame.
    box: the cell on the canvas, (left, top, right, bottom) in pixels, right and bottom exclusive."""

    index: int
    row: int
    column: int
    time_s: float
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Grid:
    """image: uint8 (rows * 448, columns * 448, 3), sRGB; `cells` in order of time, row-major."""

    image: Image
    rows: int
    columns: int
    cells: tuple[Cell, ...]


def shape(count: int) -> tuple[int, int]:
    """(rows, columns) for `count` pictures: as square as they allow, so 9 -> 3x3, 5 -> 2x3, 2 -> 1x2.

    Places left over in the last row stay dark. Raises ValueError for none at all.
    """
    if count < 1:
        raise ValueError("a grid needs at least one picture")
    columns = math.isqrt(count - 1) + 1
    return math.ceil(count / columns), columns


def layout(times: tuple[float, ...]) -> tuple[Cell, ...]:
    """Where each of the ascending `times` (seconds) goes. Raises ValueError when there are none."""
    _, columns = shape(len(times))
    cells = []
    for at, time_s in enumerate(times):
        row, column = divmod(at, columns)
        left, top = column * CELL, row * CELL
        cells.append(Cell(at + 1, row, column, time_s, (left, top, left + CELL, top + CELL)))
    return tuple(cells)


def clock(time_s: float) -> str:
    """Seconds as people write them, cut to tenths: 12.44 -> "0:12.4", 3672 -> "1:01:12.0"."""
    tenths = int(time_s * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def label(cell: Cell) -> str:
    """The words drawn under a cell: "#3  0:12.4"."""
    return f"#{cell.index}  {clock(cell.time_s)}"


def compose(keyframes: tuple[Keyframe, ...]) -> Grid:
    """Draw the grid. Pictures larger than `PICTURE_BOX` are refused with ValueError, and so is an empty tuple."""
    rows, columns = shape(len(keyframes))
    cells = layout(tuple(frame.time_s for frame in keyframes))
    canvas = PIL.Image.new("RGB", (columns * CELL, rows * CELL), _DARK)
    draw = PIL.ImageDraw.Draw(canvas)
    for cell, frame in zip(cells, keyframes, strict=True):
        height, width = frame.image.shape[:2]
        room_width, room_height = PICTURE_BOX
        if width > room_width or height > room_height:
            raise ValueError(f"a picture of {width}x{height} does not fit into {room_width}x{room_height}")
        left, top = cell.box[:2]
        place = (left + (CELL - width) // 2, top + (room_height - height) // 2)
        canvas.paste(PIL.Image.fromarray(frame.image), place)
        # Right under the picture where there is room: the nearer the label, the surer it is read as belonging to it.
        bar_top = place[1] + height
        draw.text((left + CELL // 2, bar_top + BAR // 2), label(cell), fill=_TEXT, font=_FONT, anchor="mm")
    return Grid(np.asarray(canvas), rows, columns, cells)


def grid_jpeg(grid: Grid) -> bytes:
    """JPEG of the grid, full colour resolution for the labels' sake; the same bytes for the same grid."""
    out = io.BytesIO()
    PIL.Image.fromarray(grid.image).save(out, "JPEG", quality=88, subsampling=0)
    return out.getvalue()


def canvas_tokens(width: int, height: int) -> int:
    """What a picture of this size costs Phi-4 Multimodal, in tokens.

    Its processor fits the picture into whole crops, keeping its shape, and spends 273 + R*C + R on the R rows and C
    columns of 28 px that are not padding (processing_phi4mm.py of the model). Raises ValueError for no pixels, and for
    more than the 36 crops it keeps apart.
    """
    down, across = math.ceil(height / CELL), math.ceil(width / CELL)
    if not 1 <= down * across <= _CROPS_MOST or min(width, height) < 1:
        raise ValueError(f"a picture of {width}x{height} is not cut into 1 to {_CROPS_MOST} crops")
    scale = min(across * CELL / width, down * CELL / height)
    rows, columns = (
        math.ceil((whole * CELL - (whole * CELL - int(side * scale + 1e-6)) // 14 * 14) / 28)
        for whole, side in ((down, height), (across, width))
    )
    return 273 + rows * columns + rows
