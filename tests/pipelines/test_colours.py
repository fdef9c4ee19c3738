"""Known colours, written into frames by the standards' own formulas, come out as those colours."""

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import PIL.Image
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from huntaze.pipelines.video import tonemap
from huntaze.pipelines.video.colours import reduce
from huntaze.pipelines.video.extract import extract
from huntaze.pipelines.video.light import PEAK_LEAST, PEAK_MOST, peak_of
from huntaze.pipelines.video.scale import Orientation, Scaler
from huntaze.pipelines.video.tonemap import HLG, PQ, eetf, gamut_matrix, pq_decode, pq_encode, to_srgb

VIDEOS = Path(__file__).resolve().parents[3] / "shared" / "videos"
COLOURS = [(220, 40, 30), (30, 200, 60), (40, 60, 210), (128, 128, 128), (255, 255, 255), (0, 0, 0), (240, 200, 30)]
# Luma's weights of red and blue: BT.601, BT.709, BT.2020; the tags that mean them (ISO/IEC 23091-2).
WEIGHTS = {601: (0.299, 0.114), 709: (0.2126, 0.0722), 2020: (0.2627, 0.0593)}
TAGS = {601: (5, 6), 709: (1,), 2020: (9,)}
UNSPECIFIED = 2

Rgb = tuple[float, float, float]


def coded(rgb: Rgb, matrix: int, full: bool, bits: int) -> tuple[int, int, int]:
    """R'G'B' of 0..1 as Y', Cb and Cr of so many bits."""
    red, blue = WEIGHTS[matrix]
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    chroma = (rgb[2] - y) / (2 * (1 - blue)), (rgb[0] - y) / (2 * (1 - red))
    if full:
        most = (1 << bits) - 1
        return round(y * most), *(round(c * most + (1 << bits - 1)) for c in chroma)  # type: ignore[return-value]
    unit = 1 << bits - 8
    return round((16 + 219 * y) * unit), *(round((128 + 224 * c) * unit) for c in chroma)  # type: ignore[return-value]


def flat(layout: str, values: tuple[int, ...], size: tuple[int, int], **tags: int) -> VideoFrame:
    """A frame of one colour; `values` go into the planes, in their order."""
    frame = VideoFrame(*size, layout)
    depth = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(np.full(plane.buffer_size // np.dtype(depth).itemsize, value, depth).tobytes())
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


def shown(frame: VideoFrame, box: tuple[int, int] = (60, 60)) -> NDArray[np.int64]:
    picture = Scaler(box, Orientation(), Fraction(1), enlarge=True).scale(frame)
    assert np.abs(picture.astype(int) - picture[0, 0]).max() <= 1, "one colour stays one colour"
    return picture[picture.shape[0] // 2, picture.shape[1] // 2].astype(np.int64)


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "yuv422p12le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [601, 709, 2020])
def test_colours_are_read_by_the_matrix_and_the_range_that_the_file_names(layout: str, full: bool, matrix: int) -> None:
    bits = VideoFrame(2, 2, layout).format.components[0].bits
    for tag in TAGS[matrix]:
        for rgb in COLOURS:
            values = coded((rgb[0] / 255, rgb[1] / 255, rgb[2] / 255), matrix, full, bits)
            frame = flat(layout, values, (121, 67), colorspace=tag, color_range=2 if full else 1)
            for box in ((33, 33), (121, 121), (300, 300)):
                assert np.abs(shown(frame, box) - rgb).max() <= 2


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((640, 480), 601), ((720, 576), 601), ((1280, 544), 709), ((720, 1280), 709), ((1280, 720), 709)],
)
@pytest.mark.parametrize("tag", [UNSPECIFIED, 3, 8, 14])
def test_what_the_file_does_not_say_is_guessed_as_players_do(size: tuple[int, int], matrix: int, tag: int) -> None:
    """Reserved and exotic matrices too: swscale refuses such frames, and a picture a little off is better than none."""
    values = coded((220 / 255, 40 / 255, 30 / 255), matrix, False, 8)
    assert np.abs(shown(flat("yuv420p", values, size, colorspace=tag)) - (220, 40, 30)).max() <= 2


@pytest.mark.parametrize("tag", range(18))
@pytest.mark.parametrize(
    "layout", ["yuv420p", "yuvj420p", "yuva420p", "gray", "gray10le", "gbrp", "gbrp10le", "nv12", "ya8"]
)
def test_no_tag_makes_a_frame_unreadable(layout: str, tag: int) -> None:
    frame = VideoFrame(37, 21, layout)
    for plane in frame.planes:
        plane.update(bytes([100]) * plane.buffer_size)
    frame.colorspace = tag
    assert reduce(VideoReformatter(), frame, 9, 5).shape == (5, 9, 3)


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p12le"])
@pytest.mark.parametrize("transfer", [1, PQ])
def test_colours_do_not_depend_on_the_size(layout: str, transfer: int) -> None:
    """swscale takes another path for each; one of them swaps green and blue."""
    bits = VideoFrame(2, 2, layout).format.components[0].bits
    frame = flat(layout, coded((0.5, 0.45, 0.2), 2020, False, bits), (64, 48), colorspace=9, color_range=1)
    frame.color_trc = transfer
    for width in (31, 32, 63, 64, 65, 200):
        for height in (23, 24, 47, 48, 49, 150):
            picture = reduce(VideoReformatter(), frame, width, height, fine=True).astype(int)
            expected = (0.5 * 255, 0.45 * 255, 0.2 * 255) if transfer == 1 else reference((0.5, 0.45, 0.2), PQ)
            assert np.abs(picture - expected).max() <= 6, (width, height)


def test_gray_is_gray_in_every_depth() -> None:
    for layout, value in (("gray", 180), ("gray10le", 180 << 2), ("gray12le", 180 << 4)):
        assert np.abs(shown(flat(layout, (value,), (64, 48), color_range=2)) - 180).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (3, 2), (15, 17)])
def test_the_oddest_sizes_keep_their_colour(size: tuple[int, int]) -> None:
    values = coded((40 / 255, 60 / 255, 210 / 255), 601, False, 8)
    for box in ((444, 412), (1280, 1280), (64, 36)):
        assert np.abs(shown(flat("yuv420p", values, size, colorspace=6), box) - (40, 60, 210)).max() <= 2


# Reference values of ITU-R BT.2408-7, table 1, and BT.2100: signal and light.
@pytest.mark.parametrize(
    ("code", "nits"), [(0.0, 0.0), (0.508, 100.0), (0.5807, 203.0), (0.7518, 1000.0), (1.0, 10000.0)]
)
def test_pq_is_the_standards(code: float, nits: float) -> None:
    assert float(pq_decode(np.float64(code))) == pytest.approx(nits, rel=0.005)
    assert float(pq_encode(np.float64(nits))) == pytest.approx(code, abs=0.0005)


def test_gamuts_are_the_standards() -> None:
    """BT.2087, its matrix the other way round; grays stay gray."""
    expected = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    assert np.abs(gamut_matrix(9) - expected).max() < 2e-4
    for primaries in tonemap.WIDE_GAMUTS:
        assert np.abs(gamut_matrix(primaries).sum(axis=1) - 1).max() < 1e-5


@given(nits=st.tuples(st.floats(0, 10_000), st.floats(0, 10_000)))
def test_the_curve_rises_keeps_the_dark_and_ends_at_white(nits: tuple[float, float]) -> None:
    low, high = sorted(nits)
    bent = [float(eetf(np.float64(each))) for each in (low, high)]
    assert bent[0] <= bent[1] + 1e-6
    assert bent[1] <= min(tonemap.WHITE, high) * (1 + 1e-6) + 1e-6
    if high <= 80:
        assert bent[1] == pytest.approx(high, abs=1e-3)


def srgb(linear: float) -> int:
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


def reference(rgb: Rgb, transfer: int) -> list[int]:
    """One pixel, step by step, by the formulas as printed: no table, no numpy."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        nits = [10000 * (max(e ** (1 / m2) - c1, 0) / (c2 - c3 * e ** (1 / m2))) ** (1 / m1) for e in rgb]
    else:
        a = 0.17883277
        b, c = 1 - 4 * a, 0.5 - a * float(np.log(4 * a))
        scene = [e * e / 3 if e <= 0.5 else (float(np.exp((e - c) / a)) + b) / 12 for e in rgb]
        luma = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
        nits = [1000 * luma**0.2 * each if luma else 0.0 for each in scene]
    gain = float(eetf(np.float64(max(nits)))) / max(nits) if max(nits) else 0.0
    r, g, b = (each * gain / 203 for each in nits)
    mixed = (
        1.6605 * r - 0.5876 * g - 0.0728 * b,
        -0.1246 * r + 1.1329 * g - 0.0083 * b,
        -0.0182 * r - 0.1006 * g + 1.1187 * b,
    )
    return [srgb(min(max(each, 0.0), 1.0)) for each in mixed]


@given(rgb=st.tuples(*[st.floats(0, 1)] * 3), transfer=st.sampled_from([PQ, HLG]))
def test_tables_agree_with_the_formulas(rgb: Rgb, transfer: int) -> None:
    pixel = np.rint(np.array([[rgb]]) * 65535).astype(np.uint16)
    assert np.abs(to_srgb(pixel, transfer, 9)[0, 0].astype(int) - reference(rgb, transfer)).max() <= 2


@pytest.mark.parametrize(
    ("transfer", "code", "grey"),
    # Black, a dark tone of 10 cd/m2 that stays, 18 % grey (26 cd/m2), reference white (203 cd/m2), the peak.
    [
        (PQ, 0.0, 0),
        (PQ, 0.3019, 63),
        (PQ, 0.38, 100),
        (PQ, 0.5807, 229),
        (PQ, 0.7518, 255),
        (HLG, 0.38, 101),
        (HLG, 0.75, 229),
        (HLG, 1.0, 255),
    ],
)
def test_known_patches(transfer: int, code: float, grey: int) -> None:
    pixel = np.full((1, 1, 3), round(code * 65535), np.uint16)
    assert np.abs(to_srgb(pixel, transfer, 9)[0, 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("tag", [9, UNSPECIFIED])
def test_an_hdr_frame_is_toned_on_its_way_into_a_cell(transfer: int, tag: int) -> None:
    for rgb in ((0.58, 0.58, 0.58), (0.6, 0.3, 0.3), (0.2, 0.5, 0.3), (0.3, 0.3, 0.65)):
        frame = flat("yuv420p10le", coded(rgb, 2020, False, 10), (320, 180), colorspace=tag, color_range=1)
        frame.color_trc = transfer
        for box in ((60, 60), (320, 180), (444, 412)):
            assert np.abs(shown(frame, box) - reference(rgb, transfer)).max() <= 4


def test_wide_gamut_without_hdr_is_not_pale() -> None:
    """The same red has further to go in the smaller gamut; grey stays grey."""
    for rgb, expected in (((0.7, 0.3, 0.3), (217, 45, 73)), ((0.5, 0.5, 0.5), (128, 128, 128))):
        frame = flat("yuv444p10le", coded(rgb, 2020, False, 10), (64, 64), colorspace=9, color_range=1)
        frame.color_primaries = 9
        assert np.abs(shown(frame) - expected).max() <= 3


@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"{VIDEOS} is missing: the shared videos are not here")
@pytest.mark.parametrize("name", ["tc_nasa_13013_hdr.mp4", "media3_hlg10-color-test.mp4"])
def test_real_hdr_is_not_washed_out(name: str) -> None:
    """Beside swscale's conversion, which takes the code for sRGB, there is more colour and deeper black."""
    data = (VIDEOS / name).read_bytes()
    seen = extract(io.BytesIO(data), size_bytes=len(data), cells=4)
    with av.open(io.BytesIO(data)) as film:
        plain = next(film.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    with PIL.Image.open(io.BytesIO(seen.poster_jpeg)) as poster:
        ours = np.asarray(poster).astype(int)
    assert np.ptp(ours, axis=2).mean() > 1.1 * np.ptp(plain, axis=2).mean()
    assert np.percentile(ours, 2) <= np.percentile(plain, 2)


def hdr_film(light: str) -> bytes:
    """Three frames in PQ, 600 cd/m2 beside black, that tell `light` (x265's words) of themselves."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as film:
        params = f"log-level=none:hdr10=1:repeat-headers=1:{light}"
        stream = film.add_stream("libx265", rate=25, options={"preset": "ultrafast", "x265-params": params})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p10le"
        for name, value in (("colorspace", 9), ("color_primaries", 9), ("color_trc", PQ), ("color_range", 1)):
            setattr(stream.codec_context, name, value)
        for number in range(3):
            frame = flat("yuv420p10le", (64, 512, 512), (128, 96), colorspace=9, color_range=1)
            lit = np.full((96, frame.planes[0].line_size // 2), 64, np.uint16)
            lit[:, :64] = coded((float(pq_encode(np.float64(600.0))),) * 3, 2020, False, 10)[0]
            frame.planes[0].update(lit.tobytes())
            frame.pts, frame.color_trc, frame.color_primaries = number, PQ, 9
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return out.getvalue()


def display(nits: float) -> str:
    return f"master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L({round(nits * 10_000)},50)"


@pytest.mark.parametrize(
    ("light", "peak"),
    [
        ("", 1000.0),
        (display(4000), 4000.0),
        ("max-cll=600,100", 600.0),
        (f"{display(4000)}:max-cll=600,100", 600.0),
        (f"{display(1000)}:max-cll=9000,100", 1000.0),  # no display shows more than it can
        (f"{display(1000)}:max-cll=0,0", 1000.0),  # not known
        (display(10_000), 4000.0),
        (display(100), 400.0),
    ],
)
def test_the_brightest_light_is_the_files_within_bounds(light: str, peak: float) -> None:
    data = hdr_film(light)
    with av.open(io.BytesIO(data)) as film:
        assert peak_of(next(film.decode(video=0))) == peak
    seen = extract(io.BytesIO(data), size_bytes=len(data), cells=1)
    expected = srgb(min(float(eetf(np.float64(600.0), peak)) / 203, 1.0))
    with PIL.Image.open(io.BytesIO(seen.poster_jpeg)) as poster:
        assert np.abs(np.asarray(poster)[48, 32].astype(int) - expected).max() <= 4
    for toned in (seen.grid.image[200, 100], seen.pictures.strip[0].image[90, 60]):
        assert np.abs(toned.astype(int) - expected).max() <= 4


@given(light=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 4), cll=st.integers(0, 2**32 - 1))
def test_whatever_a_file_says_of_its_light_is_within_bounds(light: tuple[int, int, int, int], cll: int) -> None:
    class Frame:
        side_data: ClassVar = {
            "MASTERING_DISPLAY_METADATA": struct.pack("=16i", *[1] * 16) + struct.pack("=4i2i", *light, 1, 1),
            "CONTENT_LIGHT_LEVEL": struct.pack("=2I", cll, 0),
        }

    assert PEAK_LEAST <= peak_of(Frame()) <= PEAK_MOST  # type: ignore[arg-type]
