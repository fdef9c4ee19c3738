"""Every file of the shared folder: a grid, or a code with a sentence; nothing else, and in bounded time."""

import io
import json
import time
from bisect import bisect_right
from pathlib import Path

import pytest

from huntaze.pipelines.video.errors import SENTENCES, MediaError
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.reader import RangeReader, Tactics

VIDEOS = Path(__file__).resolve().parents[3] / "shared" / "videos"
SECONDS_MOST = 30.0  # measured: 1.4 for the slowest (4K); the rest is for a busy machine

# The code of what is refused, or "grid" with the size as shown and the cells that are filled.
EXPECTED: dict[str, str | tuple[str, tuple[int, int], int]] = {
    "audio_only.mp4": "media.no_video",
    "bitflip_bbb.ts": ("grid", (1920, 1080), 9),
    "empty.mp4": "media.empty",
    "intel_bottle-detection.mp4": ("grid", (640, 360), 9),
    "intel_car-detection.mp4": ("grid", (768, 432), 9),
    "media3_bbb_2500ms.ts": ("grid", (1920, 1080), 9),
    "media3_hlg10-color-test.mp4": ("grid", (1920, 1080), 9),
    "media3_long_1080p_lowbitrate.mp4": ("grid", (1920, 1080), 9),
    "media3_portrait_4k60.mp4": ("grid", (2160, 3840), 9),
    "media3_sample.avi": ("grid", (960, 400), 9),
    "media3_sample_fragmented_seekable.mp4": ("grid", (1080, 720), 9),
    "media3_sample_rotate_and_reflect.mp4": ("grid", (720, 1080), 9),
    "media3_sample_without_stss.mp4": ("grid", (1080, 720), 9),
    "montage_uneven.mp4": ("grid", (640, 360), 9),
    "mpy_big_buck_bunny_0_30.webm": ("grid", (1280, 720), 9),
    "mpy_no_duration.webm": ("grid", (1280, 720), 9),
    "mpy_pigs_in_a_polka.gif": ("grid", (314, 273), 9),
    "png_named.mp4": "media.unsupported_format",
    "skv_bigbuckbunny.mp4": ("grid", (1280, 720), 9),
    "skv_bikes.mp4": ("grid", (640, 272), 9),
    "tc_av1_video.mkv": ("grid", (640, 360), 9),
    "tc_bt2020_10bit.mp4": ("grid", (320, 240), 9),
    "tc_h265_video.mp4": ("grid", (128, 128), 9),
    "tc_nasa_13013.mp4": ("grid", (480, 270), 9),
    "tc_nasa_13013_hdr.mp4": ("grid", (320, 180), 9),
    "tc_nasa_13013_rotated.mp4": ("grid", (270, 480), 9),
    "tc_testsrc2_odd_height_and_width_mpeg2.mp4": ("grid", (121, 81), 9),
    "tc_testsrc2_vp8.webm": ("grid", (1280, 720), 9),
    "text.mp4": "media.unreadable",
    "trunc60_bigbuckbunny.mp4": "media.unreadable",
}
DAMAGED = {"bitflip_bbb.ts"}
HDR = {"media3_hlg10-color-test.mp4", "tc_bt2020_10bit.mp4", "tc_nasa_13013_hdr.mp4"}


def look(name: str) -> tuple[Extraction, RangeReader]:
    data = (VIDEOS / name).read_bytes()
    reader = RangeReader(lambda start, end: data[start:end], len(data), tactics=Tactics(whole_most=0))
    return extract(reader, size_bytes=len(data), cells=9), reader


needs_videos = pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"{VIDEOS} is missing: the shared videos are not here")


@needs_videos
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_grid_or_a_code(name: str) -> None:
    expected, started = EXPECTED[name], time.monotonic()
    if isinstance(expected, str):
        with pytest.raises(MediaError) as caught:
            look(name)
        assert caught.value.code == expected
        assert caught.value.code in SENTENCES
        assert caught.value.message.endswith(".")
        assert "{" not in caught.value.message
    else:
        seen, reader = look(name)
        _, size, cells = expected
        assert (seen.facts.width, seen.facts.height) == size
        assert len(seen.grid.cells) == cells
        assert len(set(seen.times_s)) == cells
        assert list(seen.times_s) == sorted(seen.times_s)
        assert seen.facts.hdr == (name in HDR)
        assert seen.damaged == (name in DAMAGED)
        assert not seen.cut_short
        assert seen.facts.duration_s is not None
        assert seen.times_s[-1] <= seen.facts.duration_s
        # Spread: no two neighbours are further apart than four parts of the whole.
        gaps = [b - a for a, b in zip(seen.times_s, seen.times_s[1:], strict=False)]
        assert max(gaps) <= 4 * seen.facts.duration_s / cells
        assert reader.bytes_read <= len((VIDEOS / name).read_bytes()) + 20 * 64 * 1024
    assert time.monotonic() - started < SECONDS_MOST


@needs_videos
def test_the_table_knows_every_file() -> None:
    assert {path.name for path in VIDEOS.iterdir() if path.suffix not in {".md", ".json"}} == set(EXPECTED)


@needs_videos
def test_each_cell_shows_another_shot_however_uneven_they_are() -> None:
    """Thirteen shots: 39 s, eleven of about 2 s, 39 s; one of them holds no I-frame."""
    data = (VIDEOS / "montage_uneven.mp4").read_bytes()
    starts = [shot["start"] for shot in json.loads((VIDEOS / "montage_uneven_truth.json").read_text())["shots"]]
    for cells, expected in ((9, 9), (16, 13)):
        seen = extract(io.BytesIO(data), size_bytes=len(data), cells=cells)
        shown = {bisect_right(starts, time_s + 1e-6) for time_s in seen.times_s}
        assert len(seen.times_s) == cells
        assert len(shown) == expected
