import io
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from huntaze.pipelines.video.scale import Orientation, Scaler, display_size, fit
from tests.pipelines import films

sizes = st.integers(1, 9000)


def corners(number: int) -> NDArray[np.uint8]:
    """Four quarters of different colours: no turn and no mirror image looks like another."""
    picture = np.zeros((48, 80, 3), dtype=np.uint8)
    picture[:24, :40], picture[:24, 40:] = (220, 30, 30), (30, 220, 30)
    picture[24:, :40], picture[24:, 40:] = (30, 30, 220), (220, 220, 220)
    return picture


def as_ffmpeg_shows_it(frame: VideoFrame, matrix: list[int], stream: object) -> NDArray[np.uint8]:
    """What the ffmpeg program's autorotation does (fftools/ffmpeg_filter.c), by its own filters."""
    theta = -frame.rotation % 360
    filters: list[tuple[str, str | None]] = []
    if theta == 90:
        filters = [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    elif theta == 270:
        filters = [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    elif theta == 180:
        filters = ([("hflip", None)] if matrix[0] < 0 else []) + ([("vflip", None)] if matrix[4] < 0 else [])
    elif matrix[4] < 0:
        filters = [("vflip", None)]
    graph = av.filter.Graph()
    chain = [graph.add_buffer(template=stream), *(graph.add(*each) for each in filters), graph.add("buffersink")]
    for one, next_ in pairwise(chain):
        one.link_to(next_)
    graph.configure()
    chain[0].push(frame)
    return chain[-1].pull().to_ndarray(format="rgb24")


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
def test_every_turn_and_mirror_is_shown_as_ffmpeg_shows_it(degrees: int, flips: tuple[bool, bool]) -> None:
    data = films.film(3, picture=corners, rotation=(degrees, *flips))
    with av.open(io.BytesIO(data)) as film:
        frame = next(film.decode(video=0))
        orientation = Orientation.of_frame(frame)
        ours = orientation.apply(frame.to_ndarray(format="rgb24"))
        if degrees or any(flips):
            matrix = np.frombuffer(bytes(frame.side_data["DISPLAYMATRIX"]), np.int32).tolist()
            theirs = as_ffmpeg_shows_it(frame, matrix, film.streams.video[0])
        else:
            theirs = frame.to_ndarray(format="rgb24")
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(int) - theirs).max() == 0
        if not any(flips):
            assert np.array_equal(ours, np.rot90(frame.to_ndarray(format="rgb24"), k=(frame.rotation // 90) % 4))
            assert orientation.rotation == -frame.rotation % 360


@given(width=sizes, height=sizes, box=st.tuples(sizes, sizes), enlarge=st.booleans())
def test_what_is_fitted_is_inside_the_box_and_keeps_its_shape(
    width: int, height: int, box: tuple[int, int], enlarge: bool
) -> None:
    fitted = fit(width, height, *box, enlarge=enlarge)
    assert 1 <= fitted[0] <= box[0]
    assert 1 <= fitted[1] <= box[1]
    if not enlarge:
        assert fitted[0] <= width
        assert fitted[1] <= height
    scale = min(box[0] / width, box[1] / height, *([] if enlarge else [1.0]))
    assert abs(fitted[0] - width * scale) <= 1
    assert abs(fitted[1] - height * scale) <= 1


@pytest.mark.parametrize(
    ("aspect", "turned", "size"),
    [(Fraction(1), False, (720, 576)), (Fraction(64, 45), False, (1024, 576)), (Fraction(64, 45), True, (576, 1024))],
)
def test_pixels_that_are_not_square_are_made_square(aspect: Fraction, turned: bool, size: tuple[int, int]) -> None:
    assert display_size(720, 576, aspect, Orientation(transpose=turned)) == size


def test_a_scaled_picture_is_upright_and_has_its_colours() -> None:
    frame = VideoFrame.from_ndarray(corners(0), format="rgb24")
    picture = Scaler((40, 40), Orientation(transpose=True, flip_x=True), Fraction(1), enlarge=False).scale(frame)
    assert picture.shape == (40, 24, 3)
    assert np.abs(picture[2, 2].astype(int) - (30, 30, 220)).max() <= 3
    assert np.abs(picture[2, -3].astype(int) - (220, 30, 30)).max() <= 3


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((32, 32, 4), dtype=np.uint8)
    pixels[:, 16:] = (200, 0, 0, 255)
    picture = Scaler((32, 32), Orientation(), Fraction(1), enlarge=False).scale(
        VideoFrame.from_ndarray(pixels, format="rgba")
    )
    assert tuple(picture[16, 4]) == (255, 255, 255)
    assert tuple(picture[16, 28]) == (200, 0, 0)
