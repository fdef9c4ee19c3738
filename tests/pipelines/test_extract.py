import gc
import io
import weakref
from collections.abc import Iterator
from itertools import count
from types import TracebackType

import av
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import SENTENCES, MediaError
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.probe import Limits
from huntaze.pipelines.video.reader import RangeReader, Tactics
from huntaze.pipelines.video.sample import scene_at
from tests.pipelines import films


def look(data: bytes, **options: object) -> Extraction:
    return extract(io.BytesIO(data), size_bytes=len(data), **{"cells": 9, **options})  # type: ignore[arg-type]


def look_or_code(data: bytes, limits: Limits) -> Extraction | str:
    try:
        return look(data, limits=limits)
    except MediaError as error:
        return error.code


def shows_its_times(seen: Extraction) -> bool:
    """Every cell shows the frame whose time is written under it."""
    shown = [films.frame_shown(seen, at) for at in range(len(seen.times_s))]
    return shown == [round(time_s * films.FPS) for time_s in seen.times_s]


# What is found


def test_the_sample_fills_nine_cells_with_its_scenes_at_the_right_times() -> None:
    seen = look(films.sample())
    assert (seen.facts.width, seen.facts.height, seen.facts.codec) == (640, 360, "h264")
    assert seen.facts.duration_s == pytest.approx(20.0)
    assert len(seen.grid.cells) == 9
    assert len({scene_at(time_s).name for time_s in seen.times_s}) >= 6
    for at, time_s in enumerate(seen.times_s):
        left, top, _, _ = seen.grid.cells[at].box
        # The upper left of a picture: no painter reaches there, so it tells the scene by its background.
        corner = seen.grid.image[top + 90 : top + 96, left + 4 : left + 10].reshape(-1, 3).mean(axis=0)
        assert np.abs(corner - scene_at(time_s).background).max() < 12, (at, scene_at(time_s))
    assert not seen.damaged
    assert not seen.cut_short


@pytest.mark.parametrize(
    "made",
    [
        pytest.param({"gop": 12}, id="mp4 with I-frames and B-frames"),
        pytest.param({"gop": 1000}, id="mp4 with one I-frame"),
        pytest.param({"gop": 1}, id="mp4 of I-frames only"),
        pytest.param({"container": "matroska"}, id="mkv"),
        pytest.param({"container": "matroska", "gop": 1000}, id="mkv with one I-frame"),
        pytest.param({"container": "matroska", "indexed": False}, id="mkv without duration and index"),
        pytest.param({"container": "mpegts"}, id="transport stream"),
        pytest.param({"container": "mpegts", "gop": 1000}, id="transport stream with one I-frame"),
        pytest.param({"container": "avi", "codec": "mpeg4"}, id="avi"),
        pytest.param({"container": "flv"}, id="flv"),
        pytest.param({"container": "mpeg", "codec": "mpeg2video"}, id="program stream"),
        pytest.param({"container": "asf", "codec": "mpeg4"}, id="asf"),
        pytest.param({"options": (("movflags", "frag_keyframe+empty_moov"),)}, id="fragmented mp4"),
        pytest.param({"codec": "libvpx-vp9", "container": "webm"}, id="webm VP9"),
        pytest.param({"codec": "libvpx", "container": "webm", "indexed": False}, id="webm VP8, nothing known"),
    ],
)
def test_nine_distinct_cells_that_show_the_times_written_under_them(made: dict[str, object]) -> None:
    seen = look(films.film(100, **made))  # type: ignore[arg-type]
    assert len(seen.times_s) == 9
    assert len(set(seen.times_s)) == 9
    assert shows_its_times(seen)
    assert seen.times_s[0] < 0.8
    assert seen.times_s[-1] > 2.9
    # A program stream tells no duration, FFmpeg guesses it from the bit rate.
    assert seen.facts.duration_s == pytest.approx(4.0, abs=1.0 if made.get("container") == "mpeg" else 0.1)
    assert not seen.cut_short


@pytest.mark.parametrize("frames", range(1, 13))
def test_a_cell_for_every_distinct_frame_there_is(frames: int) -> None:
    seen = look(films.film(frames))
    assert len(set(seen.times_s)) == min(frames, 9)
    assert shows_its_times(seen)


@pytest.mark.parametrize("cells", [1, 4, 9, 16])
def test_the_grid_has_as_many_cells_as_were_asked_for(cells: int) -> None:
    assert len(look(films.film(100), cells=cells).grid.cells) == cells


@pytest.mark.parametrize("cells", [0, 2, 12, 25])
def test_other_numbers_of_cells_are_refused(cells: int) -> None:
    with pytest.raises(ValueError, match="cells"):
        look(b"", cells=cells)


def test_a_gif_is_put_together_patch_by_patch() -> None:
    seen = look(films.gif(16))
    assert len(set(seen.times_s)) == 9
    for at, time_s in enumerate(seen.times_s):
        cell = seen.grid.cells[at]
        row = seen.grid.image[cell.box[1] + 206, cell.box[0] + 2 : cell.box[2] - 2].mean(axis=1)
        assert (row > 128).mean() * 16 == pytest.approx(round(time_s * 10) + 1, abs=0.2)


def test_a_duration_that_lies_does_not_cost_the_cells() -> None:
    data = bytearray(films.film(50))
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        at = data.index(box) + 4
        duration = at + (20 if box == b"tkhd" else 16)
        data[duration : duration + 4] = (int.from_bytes(data[duration : duration + 4], "big") * 1000).to_bytes(4, "big")
    seen = look(bytes(data))
    assert len(set(seen.times_s)) == 9
    assert seen.times_s[-1] > 1.5
    assert shows_its_times(seen)


def test_the_same_film_gives_the_same_bytes() -> None:
    one, two = look(films.sample()), look(films.sample())
    assert one.grid_jpeg == two.grid_jpeg
    assert one.poster_jpeg == two.poster_jpeg
    assert one.storyboard == two.storyboard


def test_the_poster_is_a_real_picture_and_not_the_black_beginning() -> None:
    def picture(number: int) -> np.ndarray:
        image = np.zeros((64, 112, 3), dtype=np.uint8)
        if number > 60:
            image[::4, :] = (200, 60, 90)
        return image

    seen = look(films.film(100, picture=picture))
    assert seen.poster_time_s * 25 > 60
    with PIL.Image.open(io.BytesIO(seen.poster_jpeg)) as poster:
        assert poster.size == (112, 64)  # never larger than the video


def test_the_stages_are_told_in_order() -> None:
    seen = look(films.film(30))
    assert [stage.name for stage in seen.stages] == ["open", "frames", "grid", "encode"]
    assert all(stage.seconds >= 0 for stage in seen.stages)


# What is refused


def made_of_sound_and_a_cover() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as film:
        sound = film.add_stream("pcm_s16le", rate=8000, layout="mono")
        cover = film.add_attachment("cover.jpg", "image/jpeg", films.jpeg((96, 64)))
        assert cover is not None
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4608), dtype=np.int16), format="s16", layout="mono")
        frame.rate = 8000
        film.mux(sound.encode(frame))
        film.mux(sound.encode())
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        pytest.param(b"", Limits(), "media.empty", id="empty"),
        pytest.param(b"hello " * 500, Limits(), "media.unreadable", id="text"),
        pytest.param(films.film(50)[:2000], Limits(), "media.unreadable", id="cut before its index"),
        pytest.param(films.jpeg((96, 64)), Limits(), "media.unsupported_format", id="picture"),
        pytest.param(made_of_sound_and_a_cover(), Limits(), "media.no_video", id="sound with a cover"),
        pytest.param(films.film(50), Limits(max_bytes=1000), "media.too_large", id="bytes"),
        pytest.param(films.film(50), Limits(max_pixels=112 * 64 - 1), "media.too_many_pixels", id="pixels"),
        pytest.param(films.film(50), Limits(max_duration_s=1.9), "media.too_long", id="length"),
        pytest.param(
            films.film(100, container="matroska", indexed=False),
            Limits(max_duration_s=3.0),
            "media.too_long",
            id="length that only reading shows",
        ),
    ],
)
def test_what_is_wrong_has_a_code_and_a_sentence(data: bytes, limits: Limits, code: str) -> None:
    with pytest.raises(MediaError) as caught:
        look(data, limits=limits)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert "{" not in caught.value.message


def test_every_code_has_a_sentence_that_says_what_to_do() -> None:
    for code, sentence in SENTENCES.items():
        assert code.startswith("media.")
        assert sentence.count(".") >= 2, code


def test_damaged_pictures_are_tolerated_and_told() -> None:
    data = bytearray(films.sample())
    start = data.index(b"mdat") + 4
    for at in range(start + 5000, len(data), 997):
        data[at] ^= 0xFF
    seen = look(bytes(data))
    assert seen.damaged
    assert len(seen.grid.cells) >= 1
    strip = {picture.pts for picture in seen.pictures.strip}
    assert {picture.pts for picture in seen.pictures.keyframes} <= strip, "what is good enough for a cell has a tile"


@settings(deadline=None, max_examples=60)
@given(
    container=st.sampled_from(["mp4", "matroska", "mpegts"]),
    keep=st.floats(0.05, 1.0),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=40),
)
def test_whatever_is_broken_gives_pictures_or_a_code(
    container: str, keep: float, flips: list[tuple[float, int]]
) -> None:
    data = bytearray(films.film(40, container=container))
    data = data[: max(1, int(len(data) * keep))]
    for place, mask in flips:
        data[int(place * len(data))] ^= mask
    seen = look_or_code(bytes(data), Limits(decode_seconds=5.0))
    if isinstance(seen, str):
        assert seen in SENTENCES
    else:
        assert 1 <= len(seen.grid.cells) <= 9


# What it may cost


def test_no_time_at_all_is_a_code() -> None:
    ticks = count()
    with pytest.raises(MediaError) as caught:
        look(films.film(100), limits=Limits(decode_seconds=0.5), cpu_clock=lambda: next(ticks))
    assert caught.value.code == "media.timeout"


def test_time_that_runs_out_half_way_leaves_what_was_found() -> None:
    ticks = count()
    seen = look(films.film(100, gop=1000), limits=Limits(decode_seconds=60), cpu_clock=lambda: next(ticks))
    assert seen.cut_short
    assert 1 <= len(seen.grid.cells) < 9


def test_frames_that_run_out_leave_what_was_found() -> None:
    seen = look(films.film(100, gop=1000), limits=Limits(max_frames=40))
    assert seen.cut_short
    assert 1 <= len(seen.grid.cells) < 9


def with_budget(data: bytes, budget_bytes: int) -> tuple[RangeReader, Extraction]:
    tactics = Tactics(whole_most=0, head=4096, block=4096, cache=4 * 4096, tail=0)
    reader = RangeReader(lambda start, end: data[start:end], len(data), tactics=tactics, budget_bytes=budget_bytes)
    return reader, extract(reader, size_bytes=len(data), cells=9)


def test_the_readers_budget_ends_the_search_with_what_was_found() -> None:
    data = films.film(100, picture=films.noise, gop=1000)
    reader, seen = with_budget(data, len(data) // 2)
    assert seen.cut_short
    assert 1 <= len(seen.grid.cells) < 9
    assert reader.bytes_read <= len(data) // 2


def test_a_budget_that_is_gone_before_the_first_picture_is_a_code() -> None:
    with pytest.raises(MediaError) as caught:
        with_budget(films.film(100, container="matroska", picture=films.noise), 4096)
    assert caught.value.code == "media.over_budget"


# Whose fault it is


def test_a_fault_of_the_store_at_any_request_comes_out_as_itself() -> None:
    data = films.film(100, container="matroska", picture=films.noise)
    for spool_most in (0, len(data)):
        total = fails_at(data, None, spool_most)
        assert total > 3
        for number in range(1, total + 1):
            assert fails_at(data, number, spool_most) == number


def fails_at(data: bytes, number: int | None, spool_most: int = 0) -> int:
    """Requests and chunks until the store was away; checks that its own exception came out."""
    away, made = Transient("store.away", "The store is away; try again.", retry_after=3.0), 0

    def fetch(start: int, end: int) -> bytes:
        nonlocal made
        made += 1
        if made == number:
            raise away
        return data[start:end]

    def stream() -> Iterator[bytes]:
        for start in range(0, len(data), 100_000):
            yield fetch(start, min(start + 100_000, len(data)))

    tactics = Tactics(whole_most=0, head=8192, block=8192, tail=0, cache=8192, spool_most=spool_most)
    reader = RangeReader(fetch, len(data), stream=stream, tactics=tactics)
    if number is None:
        extract(reader, size_bytes=len(data), cells=9)
    else:
        with pytest.raises(Transient) as caught:
            extract(reader, size_bytes=len(data), cells=9)
        assert caught.value is away
    return made


def test_an_old_fault_does_not_come_up_in_the_next_file() -> None:
    fails_at(films.film(100), 1)
    assert len(look(films.film(100)).grid.cells) == 9


class StopError(Exception):
    pass


@pytest.mark.parametrize("gop", [12, 1000])
def test_progress_never_falls_and_stops_the_work_wherever_it_raises(gop: int) -> None:
    told: list[tuple[float, str]] = []
    look(films.film(100, gop=gop), progress=lambda fraction, stage: told.append((fraction, stage)))
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[0] == (0.0, "open")
    assert told[-1] == (1.0, "encode")
    assert len([stage for _, stage in told if stage == "frames"]) >= 9
    for stop_at in range(0, len(told), 1 if len(told) < 30 else 13):
        stops_at(films.film(100, gop=gop), stop_at)


def stops_at(data: bytes, stop_at: int) -> None:
    class File(io.BytesIO):
        pass

    calls = count()

    def progress(fraction: float, stage: str) -> None:
        if next(calls) == stop_at:
            raise StopError(stage)

    file = File(data)
    gone = weakref.ref(file)
    trace: TracebackType | None = None
    try:
        extract(file, size_bytes=len(data), progress=progress)
    except StopError as error:
        trace = error.__traceback__
    assert trace is not None
    del trace, file
    gc.collect()
    assert gone() is None, "something still holds the file: the container was not let go"
