import io
import re
from itertools import pairwise

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntaze.pipelines.video.grid import (
    BAR,
    CELL,
    PICTURE_BOX,
    canvas_tokens,
    clock,
    compose,
    grid_jpeg,
    label,
    layout,
    shape,
)
from huntaze.pipelines.video.kept import Keyframe, spread
from huntaze.pipelines.video.keyframes import wanted_times
from huntaze.pipelines.video.poster import poster_jpeg, poster_webp, quality
from huntaze.pipelines.video.preview import PREVIEW_BOX, preview_webp
from huntaze.pipelines.video.storyboard import cues, storyboard

ascending = st.lists(st.floats(0, 30_000, allow_nan=False), min_size=1, max_size=40, unique=True).map(sorted)


def frames(count: int, width: int = 444, height: int = 250) -> tuple[Keyframe, ...]:
    return tuple(
        Keyframe(2.5 * number, np.full((height, width, 3), 60 + 10 * number, dtype=np.uint8), number)
        for number in range(count)
    )


@given(times=ascending)
def test_cells_lie_on_the_canvas_row_by_row_and_never_on_one_another(times: list[float]) -> None:
    rows, columns = shape(len(times))
    cells = layout(tuple(times))
    assert [cell.index for cell in cells] == list(range(1, len(times) + 1))
    assert [cell.time_s for cell in cells] == times
    taken: set[tuple[int, int]] = set()
    for cell in cells:
        left, top, right, bottom = cell.box
        assert 0 <= left < right <= columns * CELL
        assert 0 <= top < bottom <= rows * CELL
        assert (right - left, bottom - top) == (CELL, CELL)
        assert (top // CELL, left // CELL) == (cell.row, cell.column) == divmod(cell.index - 1, columns)
        taken.add((cell.row, cell.column))
    assert len(taken) == len(times)
    assert rows * columns - len(times) < columns, "no row is empty"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3)), (9, (3, 3)), (16, (4, 4))],
)
def test_fewer_pictures_make_a_smaller_grid(count: int, expected: tuple[int, int]) -> None:
    assert shape(count) == expected
    grid = compose(frames(count))
    assert grid.image.shape == (expected[0] * 448, expected[1] * 448, 3)
    assert grid.image.dtype == np.uint8


def test_a_grid_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compose(())


@pytest.mark.parametrize(("width", "height"), [PICTURE_BOX, (444, 250), (232, PICTURE_BOX[1]), (412, 412), (1, 1)])
def test_the_label_has_its_own_bar_whatever_the_shape_of_the_picture(width: int, height: int) -> None:
    white = np.full((height, width, 3), 255, dtype=np.uint8)
    grid = compose(tuple(Keyframe(number * 1.0, white, number) for number in range(4)))
    for cell in grid.cells:
        left, top, right, bottom = cell.box
        inside = grid.image[top:bottom, left:right]
        row = (CELL - BAR - height) // 2
        column = (CELL - width) // 2
        picture = inside[row : row + height, column : column + width]
        assert (picture == 255).all(), "nothing is drawn over the picture"
        bar = inside[row + height : row + height + BAR]
        assert bar.shape[0] == BAR
        assert (bar > 200).any(), "the label is readable"
        assert (bar < 40).mean() > 0.5, "on dark ground"


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        *(((448, 448), 545), ((896, 896), 1329), ((1344, 1344), 2625), ((1792, 1792), 4433)),
        *(((1344, 896), 1841), ((1344, 756), 1596), ((1000, 1000), 2625)),
    ],
)
def test_what_a_canvas_costs(size: tuple[int, int], tokens: int) -> None:
    assert canvas_tokens(*size) == tokens


@given(width=st.integers(1, 2688), height=st.integers(1, 2688))
def test_a_canvas_costs_what_its_crops_cost_and_its_padding_nothing(width: int, height: int) -> None:
    down, across = -(-height // CELL), -(-width // CELL)
    tokens = canvas_tokens(width, height)
    assert 273 + 1 < tokens <= 273 + 256 * down * across + 16 * down
    if width % CELL == height % CELL == 0:
        assert tokens == 273 + 256 * down * across + 16 * down
    # Filled up to whole crops in its own shape it is the same picture to the processor.
    scale = min(across * CELL / width, down * CELL / height)
    rows, columns = height * scale / 28, width * scale / 28
    assert (rows - 1) * (columns - 1) + rows - 1 <= tokens - 273 <= (rows + 1) * (columns + 1) + rows + 1


@pytest.mark.parametrize("size", [(0, 448), (448, 0), (-448, -448), (448 * 6, 448 * 6 + 1)])
def test_no_picture_and_one_too_large_have_no_price(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="crops"):
        canvas_tokens(*size)


def test_a_picture_too_large_for_its_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        compose(frames(1, width=445))


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0.0, "0:00.0"), (12.44, "0:12.4"), (12.0, "0:12.0"), (59.99, "0:59.9"), (75.5, "1:15.5"), (3672.0, "1:01:12.0")],
)
def test_times_are_written_as_people_write_them(time_s: float, text: str) -> None:
    assert clock(time_s) == text
    assert label(layout((time_s,))[0]) == f"#1  {text}"


def test_the_bytes_are_the_same_each_time_and_the_picture_survives_them() -> None:
    grid = compose(frames(9))
    assert grid_jpeg(grid) == grid_jpeg(compose(frames(9)))
    with PIL.Image.open(io.BytesIO(grid_jpeg(grid))) as picture:
        assert picture.size == (1344, 1344)
        assert np.abs(np.asarray(picture).astype(int) - grid.image).mean() < 2


@given(times=ascending, count=st.integers(1, 16))
def test_the_choice_is_distinct_ascending_and_as_large_as_can_be(times: list[float], count: int) -> None:
    chosen = spread(times, count)
    assert len(chosen) == min(count, len(times))
    assert chosen == sorted(set(chosen))
    assert all(0 <= at < len(times) for at in chosen)


@given(duration=st.floats(0.01, 30_000), count=st.integers(1, 16))
def test_the_wanted_times_are_inside_and_even(duration: float, count: int) -> None:
    times = wanted_times(duration, count)
    assert len(times) == count
    assert all(0 < time_s < duration for time_s in times)
    assert list(times) == sorted(times)


def test_an_even_choice_among_even_times() -> None:
    assert spread([float(number) for number in range(90)], 9) == [5, 15, 25, 35, 44, 54, 64, 74, 84]


moments = st.lists(st.integers(0, 4 * 3_600_000), min_size=1, max_size=64, unique=True).map(
    lambda stamps: [stamp / 1000 for stamp in sorted(stamps)]
)


@given(times=moments, duration_s=st.none() | st.floats(0, 6 * 3600))
def test_cues_cover_the_video_at_an_interval_and_show_the_picture_at_or_before(
    times: list[float], duration_s: float | None
) -> None:
    made = cues(times, duration_s)
    assert made[0].start_ms == 0
    assert all(one.end_ms == other.start_ms for one, other in pairwise(made)), "neither holes nor overlaps"
    end = made[-1].end_ms
    assert end > made[-1].start_ms
    assert end == pytest.approx(
        1000 * (times[-1] + 1 if duration_s is None else max(duration_s, times[-1] + 0.04)), abs=1
    )
    interval = next(
        step
        for step in (100, 200, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 120000, 300000)
        if step * (50 if end < 900_000 else 100) >= end
    )
    for moment in range(0, end, interval):
        shown = next(cue.at for cue in made if cue.start_ms <= moment < cue.end_ms)
        before = [at for at, time_s in enumerate(times) if round(1000 * time_s) <= moment]
        assert shown == (before[-1] if before else 0)
    assert {cue.start_ms % interval for cue in made} == {0}
    assert [cue.at for cue in made] == sorted({cue.at for cue in made}), "each picture once"


@pytest.mark.parametrize(("duration_s", "count"), [(4.0, 40), (90.0, 45), (899.0, 45), (900.0, 90), (21_600.0, 72)])
def test_there_are_about_fifty_moments_and_a_hundred_in_what_is_long(duration_s: float, count: int) -> None:
    assert len(cues([0.98 * duration_s * at / 5000 for at in range(5000)], duration_s)) == count


@settings(deadline=None, max_examples=20)
@given(times=moments.filter(lambda times: len(times) <= 20), width=st.integers(1, 444), height=st.integers(1, 412))
def test_every_cue_of_the_storyboard_cuts_its_own_tile_out_of_the_sprite(
    times: list[float], width: int, height: int
) -> None:
    pictures = tuple(
        Keyframe(time_s, np.full((height, width, 3), 10 * at, np.uint8), at) for at, time_s in enumerate(times)
    )
    made, shown = storyboard(pictures, duration_s=None, sprite_url="strip.jpg"), cues(times, None)
    with PIL.Image.open(io.BytesIO(made.jpeg)) as sprite:
        sheet = np.asarray(sprite.convert("L")).astype(int)
    found = re.findall(r"(\S+) --> (\S+)\nstrip\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)\n", made.vtt)
    assert made.vtt.startswith("WEBVTT\n\n")
    assert [(milliseconds(start), milliseconds(end)) for start, end, *_ in found] == [
        (cue.start_ms, cue.end_ms) for cue in shown
    ]
    assert max(made.tile) == 256
    for cue, place in zip(shown, found, strict=True):
        x, y, w, h = (int(each) for each in place[2:])
        assert (w, h) == made.tile
        tile = sheet[y : y + h, x : x + w]
        assert tile.shape == (h, w)
        assert abs(np.median(tile) - 10 * cue.at) <= 5


def milliseconds(stamp: str) -> int:
    hours, minutes, seconds = stamp.split(":")
    return 3_600_000 * int(hours) + 60_000 * int(minutes) + int(seconds.replace(".", ""))


def test_a_storyboard_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        storyboard((), duration_s=1.0, sprite_url="strip.jpg")


def test_a_poster_is_neither_black_nor_white_nor_flat() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    blurred = np.full((90, 160, 3), 120, dtype=np.uint8)
    for dull in (np.zeros_like(noise), np.full_like(noise, 255), blurred):
        assert quality(noise) > quality(dull)
    assert quality(np.zeros((1, 1, 3), dtype=np.uint8)) == 0
    with PIL.Image.open(io.BytesIO(poster_jpeg(noise))) as poster:
        assert poster.size == (160, 90)
    with PIL.Image.open(io.BytesIO(poster_webp(noise))) as poster:
        assert (poster.format, poster.size) == ("WEBP", (160, 90))


@pytest.mark.parametrize(("count", "width", "height"), [(1, 1, 1), (9, 444, 250), (16, 232, 412), (4, 444, 1)])
def test_a_preview_moves_through_the_cells(count: int, width: int, height: int) -> None:
    body = preview_webp(frames(count, width, height))
    assert body == preview_webp(frames(count, width, height))
    with PIL.Image.open(io.BytesIO(body)) as preview:
        assert (preview.format, preview.n_frames) == ("WEBP", count)
        assert preview.size[0] <= min(PREVIEW_BOX[0], width)
        assert preview.size[1] <= min(PREVIEW_BOX[1], height)
        for at in range(count):
            preview.seek(at)
            assert abs(int(np.asarray(preview.convert("RGB")).mean()) - (60 + 10 * at)) <= 4


def test_a_preview_of_what_does_not_compress_stays_small() -> None:
    generator = np.random.default_rng(1)
    noise = [generator.integers(0, 255, (412, 412, 3), dtype=np.uint8) for _ in range(16)]
    assert len(preview_webp(tuple(Keyframe(float(at), image, at) for at, image in enumerate(noise)))) <= 600_000


def test_a_preview_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        preview_webp(())
