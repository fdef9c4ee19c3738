"""Which way a whole film is read, what it costs, and what is left behind."""

import gc
import io
import re
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from av.video.frame import VideoFrame

from huntaze.pipelines.video import alone
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.probe import Limits
from huntaze.pipelines.video.reader import RangeReader, Tactics
from tests.pipelines import films
from tests.pipelines.test_extract import shows_its_times

# As for a film of fifty megabytes, a hundred times smaller.
TACTICS = Tactics(whole_most=160_000, head=5_000, block=640, tail=80_000, cache=160_000)
NO_DISK = Tactics(whole_most=0, head=5_000, block=640, tail=80_000, cache=160_000, spool_most=0)


def look(data: bytes, tactics: Tactics, cells: int = 9) -> Extraction:
    def stream() -> Iterator[bytes]:
        yield data

    with RangeReader(lambda start, end: data[start:end], len(data), stream=stream, tactics=tactics) as reader:
        return extract(reader, size_bytes=len(data), cells=cells)


@pytest.mark.parametrize(
    ("made", "tactics", "way", "reason"),
    [
        pytest.param({}, TACTICS, "whole", "", id="small"),
        pytest.param({}, NO_DISK, "planned", "", id="mp4, index at the back"),
        pytest.param({"container": "matroska"}, NO_DISK, "planned", "", id="mkv"),
        pytest.param({"container": "avi", "codec": "mpeg4"}, NO_DISK, "planned", "", id="avi"),
        pytest.param({"container": "mpegts"}, NO_DISK, "demand", "no usable index (mpegts)", id="ts, too large"),
    ],
)
def test_the_way_follows_the_container(made: dict[str, object], tactics: Tactics, way: str, reason: str) -> None:
    seen = look(films.film(100, **made), tactics)  # type: ignore[arg-type]
    assert (seen.reading.way, seen.reading.reason) == (way, reason)
    assert len(set(seen.times_s)) == 9
    assert shows_its_times(seen)


def test_an_index_in_front_needs_no_look_at_the_back() -> None:
    seen = look(films.fast_start(films.film(100)), NO_DISK)
    assert seen.reading.way == "planned"
    assert shows_its_times(seen)


def test_what_has_no_index_comes_by_way_of_the_disk() -> None:
    seen = look(films.film(100, container="mpegts", picture=films.noise), Tactics(whole_most=0, head=5_000, tail=0))
    assert (seen.reading.way, seen.reading.reason) == ("spooled", "no usable index (mpegts)")
    assert len(set(seen.times_s)) == 9


def test_a_large_film_is_read_by_a_few_percent() -> None:
    """Nine pictures of a film: its head with the index, and their I-frames."""
    data = films.fast_start(films.film(2400, gop=25, picture=films.busy))
    head = data.index(b"mdat")
    tactics = Tactics(whole_most=0, head=head + 2048, block=640, tail=0)
    seen = look(data, tactics)
    assert seen.reading.way == "planned"
    assert seen.reading.bytes - head < 0.06 * len(data)  # 3.8 % are the nine least of its I-frames
    assert 9 <= seen.reading.looked_at <= 14
    assert seen.reading.requests <= 1 + seen.reading.looked_at


def test_the_storyboard_shows_all_that_was_looked_at_for_the_cells() -> None:
    """Each has a tile at its own time, at most an interval late; the bars tell which frame it is."""
    seen = look(films.film(100), TACTICS, cells=4)
    found = re.findall(r"00:00:(\S+) --> \S+\n\S+#xywh=(\d+),(\d+),(\d+),(\d+)", seen.storyboard.vtt)
    assert len(found) == seen.reading.looked_at == 9 > len(seen.times_s) == 4
    with PIL.Image.open(io.BytesIO(seen.storyboard.jpeg)) as sprite:
        for start, x, y, w, h in found:
            left, top, width, height = int(x), int(y), int(w), int(h)
            tile = np.asarray(sprite.crop((left, top, left + width, top + height)).convert("L"))
            bits = [part[8:-8].mean() > 128 for part in np.array_split(tile[height // 2], films.BITS)]
            shown = sum(int(bit) << (films.BITS - 1 - at) for at, bit in enumerate(bits))
            assert 0 <= float(start) - shown / films.FPS < 0.1


def test_the_length_decides_where_nobody_does() -> None:
    def cells(data: bytes) -> int:
        return len(extract(io.BytesIO(data), size_bytes=len(data)).grid.cells)

    assert cells(films.film(100)) == 4
    assert cells(films.sample()) == 9


def test_side_by_side_or_one_after_the_other_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = films.sample()
    many = extract(io.BytesIO(data), size_bytes=len(data))
    monkeypatch.setattr(alone.os, "cpu_count", lambda: 1)
    one = extract(io.BytesIO(data), size_bytes=len(data))
    assert one.grid_jpeg == many.grid_jpeg
    assert one.poster_jpeg == many.poster_jpeg


def test_nothing_is_left_behind_not_even_for_the_garbage_collector() -> None:
    """Decoders and frames are large: they go with the last reference, not some time later."""

    class File(io.BytesIO):
        pass

    def frames() -> int:
        return sum(isinstance(one, VideoFrame) and one.width > 16 for one in gc.get_objects())

    gc.collect()
    gc.disable()
    before = frames()
    try:
        for data in (films.film(100), films.film(60, gop=1000, rotation=(90, False, False)), films.gif(16)):
            file = File(data)
            gone = weakref.ref(file)
            extract(file, size_bytes=len(data), cells=9)
            del file
            assert gone() is None
            assert frames() == before
    finally:
        gc.enable()
    assert {thread.name for thread in threading.enumerate() if thread.name.startswith(("frames", "poster"))} == set()


def test_the_copy_on_disk_is_closed() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    data = films.film(100, container="mpegts", picture=films.noise)
    assert look(data, Tactics(whole_most=0, head=5_000, tail=0)).reading.way == "spooled"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_work_of_other_threads_counts_against_the_time() -> None:
    """The clock stands still in this thread: what the decoders charge is what ends the search."""
    data = films.film(100)
    with pytest.raises(MediaError, match=r"media\.timeout"):
        extract(io.BytesIO(data), size_bytes=len(data), limits=Limits(decode_seconds=0.0), cpu_clock=lambda: 0.0)
