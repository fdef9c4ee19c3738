"""The whole look at a video, in one pass: facts, grid, poster, storyboard."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from huntaze.pipelines.video.choose import cells_for
from huntaze.pipelines.video.grid import PICTURE_BOX, SQUARES, Grid, compose, grid_jpeg
from huntaze.pipelines.video.kept import Finished
from huntaze.pipelines.video.keyframes import Collector, Progress
from huntaze.pipelines.video.memory import memory_bound
from huntaze.pipelines.video.poster import poster_jpeg, poster_webp
from huntaze.pipelines.video.preview import preview_webp
from huntaze.pipelines.video.probe import Limits, MediaFacts, open_video
from huntaze.pipelines.video.reader import RangeReader
from huntaze.pipelines.video.source import Budget, Readable, Source
from huntaze.pipelines.video.storyboard import SPRITE_URL, Storyboard, storyboard

POSTER_WIDTH = 1280
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Stage:
    """One step of the pass and the wall-clock seconds it took, reading included."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Reading:
    """How the file was read. way: whole, planned, demand or spooled (see `reader`); local where all is at hand.
    reason: why it was not planned, where it was not. looked_at: pictures that the cells were chosen from."""

    way: str
    reason: str
    bytes: int
    requests: int
    looked_at: int


@dataclass(frozen=True)
class Extraction:
    """Everything seen in one video.

    facts: `duration_s` is filled in where the file did not tell and was read to its end.
    times_s: of the cells, seconds from the first shown frame, ascending.
    grid, grid_jpeg: the picture for the model and its bytes.
    poster_jpeg: at most 1280 px wide and high; poster_time_s: when it is shown.
    storyboard: sprite and WebVTT.
    pictures: all these were made of; the WebP forms take as long as the rest together and are made when asked for.
    damaged: parts of the file did not decode. cut_short: a limit ended the search before every cell was filled.
    reading: what it took. stages: open, frames, grid, encode, in that order.
    """

    facts: MediaFacts
    times_s: tuple[float, ...]
    grid: Grid
    grid_jpeg: bytes
    poster_jpeg: bytes
    poster_time_s: float
    storyboard: Storyboard
    pictures: Finished
    damaged: bool
    cut_short: bool
    reading: Reading
    stages: tuple[Stage, ...]

    def poster_webp(self) -> bytes:
        return poster_webp(self.pictures.poster.image)

    def preview_webp(self) -> bytes:
        return preview_webp(self.pictures.keyframes)


def _ignore(fraction: float, stage: str) -> None:
    """The progress nobody asked for."""


class _Stopwatch:
    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.stages.append(Stage(name, now - self._since))
        self._since = now


def extract(
    file: Readable,
    *,
    size_bytes: int,
    cells: int | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    progress: Progress = _ignore,
    sprite_url: str = SPRITE_URL,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> Extraction:
    """Look at `file` (seekable, binary, `size_bytes` long) and return what was seen.

    cells: 1, 4, 9 or 16; a video with fewer distinct frames fills fewer. None: by its length, see `choose.cells_for`.
    progress: `progress(fraction 0..1, stage)` with stage "open", "frames", "grid" or "encode", never falling; called
        between frames, so it is the place to stop: what it raises comes out untouched, with the container closed.
    sprite_url: how the storyboard's WebVTT names its sprite.
    cpu_clock: what `limits.decode_seconds` is counted on; CPU seconds of this thread unless told otherwise.

    Raises MediaError with a code of `errors`; ValueError for another number of cells; whatever reading `file` or
    `progress` raises, in its own type. The file is not closed.
    """
    if cells is not None and cells not in SQUARES:
        raise ValueError(f"cells must be one of {SQUARES}, not {cells}")
    watch = _Stopwatch()
    fetching = file if isinstance(file, RangeReader) else None
    budget = Budget(limits.decode_seconds, cpu_clock)
    source = Source(file, size_bytes, budget)
    progress(0.0, "open")
    with memory_bound(limits.memory_bytes), open_video(source, size_bytes=size_bytes, limits=limits) as opened:
        watch.lap("open")
        looked = Collector(
            opened,
            cells or cells_for(opened.facts.duration_s),
            box=PICTURE_BOX,
            poster_width=POSTER_WIDTH,
            limits=limits,
            budget=budget,
            progress=lambda fraction, stage: progress(0.05 + 0.85 * fraction, stage),
            fetching=fetching,
        ).collect()
        facts = replace(opened.facts, duration_s=looked.duration_s)
        del opened  # and with it decoders and their pictures, before what is free is given back
    found = looked.found
    watch.lap("frames")
    progress(0.92, "grid")
    with ThreadPoolExecutor(1, "pictures") as beside:
        poster = beside.submit(poster_jpeg, found.poster.image)
        strip = beside.submit(storyboard, found.strip, duration_s=facts.duration_s, sprite_url=sprite_url)
        grid = compose(found.keyframes)
        watch.lap("grid")
        progress(0.95, "encode")
        pictures = grid_jpeg(grid), poster.result(), strip.result()
    watch.lap("encode")
    progress(1.0, "encode")
    return Extraction(
        facts=facts,
        times_s=tuple(frame.time_s for frame in found.keyframes),
        grid=grid,
        grid_jpeg=pictures[0],
        poster_jpeg=pictures[1],
        poster_time_s=found.poster.time_s,
        storyboard=pictures[2],
        pictures=found,
        damaged=looked.damaged,
        cut_short=looked.cut_short,
        reading=_reading(fetching, looked.looked_at),
        stages=tuple(watch.stages),
    )


def _reading(reader: RangeReader | None, looked_at: int) -> Reading:
    if reader is None:
        return Reading("local", "", 0, 0, looked_at)
    return Reading(reader.way, reader.reason, reader.bytes_read, reader.requests, looked_at)
