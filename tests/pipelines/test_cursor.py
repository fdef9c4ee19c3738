"""The parts that only cost, when they go wrong: where a seek lands, what is decoded, who is told of a failure."""

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import pytest

from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.cursor import Cursor
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.kept import Kept
from huntaze.pipelines.video.probe import Limits, Opened, open_video
from huntaze.pipelines.video.source import Budget, Source
from tests.pipelines import films


@contextmanager
def opened(data: bytes) -> Iterator[Opened]:
    source = Source(io.BytesIO(data), len(data), Budget(60))
    with open_video(source, size_bytes=len(data), limits=Limits()) as video:
        yield video


def cursor_in(video: Opened, max_frames: int = 10_000) -> Cursor:
    return Cursor(video, Budget(60), max_frames)


def number_of(video: Opened, pts: int | None) -> int:
    assert pts is not None
    return round((pts - video.first_pts) * video.time_base * films.FPS)


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_with_an_index_a_seek_lands_on_the_nearest_i_frame_before(container: str) -> None:
    with opened(films.film(100, container=container, codec="mpeg4" if container == "avi" else "libx264")) as video:
        cursor = cursor_in(video)
        for wanted in (0, 11, 13, 30, 50, 71, 97):
            packet = cursor.key_before((wanted + 0.5) / films.FPS)
            assert packet is not None
            frame = cursor.decode_alone(packet)
            assert frame is not None
            assert wanted - 12 <= number_of(video, frame.pts) <= wanted
        assert cursor.decoded == 0, "nothing was decoded on the way"


@pytest.mark.parametrize("container", ["mpegts", "flv"])
def test_without_an_index_it_lands_before_the_wanted_time_and_not_far_from_it(container: str) -> None:
    with opened(films.film(125, container=container)) as video:
        cursor = cursor_in(video)
        for wanted in (0, 13, 30, 50, 71, 97, 120):
            packet = cursor.key_before((wanted + 0.5) / films.FPS)
            assert packet is not None
            assert wanted - films.FPS - 2 * 12 <= number_of(video, packet.pts) <= wanted


def test_in_order_every_frame_first_then_the_i_frames() -> None:
    with opened(films.film(120, container="matroska", indexed=False)) as video:
        cursor = cursor_in(video)
        numbers = [number_of(video, frame.pts) for frame in cursor.in_order(50)]
    assert numbers[:40] == list(range(40))
    assert numbers[-3:] == [84, 96, 108]
    assert all(number % 12 == 0 for number in numbers if number > 60)


def test_in_order_with_one_i_frame_decodes_all() -> None:
    with opened(films.film(100, container="matroska", indexed=False, gop=1000)) as video:
        assert sum(1 for _ in cursor_in(video).in_order(10)) == 100


def test_frames_are_counted_and_end_the_decoding() -> None:
    with opened(films.film(100, gop=1000)) as video:
        cursor = cursor_in(video, max_frames=30)
        assert sum(1 for _ in cursor.frames_from(3.0)) == 30
        assert cursor.out_of_frames


def test_a_moment_is_kept_once() -> None:
    with opened(films.film(10)) as video:
        kept = Kept(video, (100, 100), 1280)
        frames = list(cursor_in(video).frames_from(0.0))
        assert [kept.keep(frame) for frame in (frames[0], frames[1], frames[0])] == [True, True, False]
        assert [frame.time_s for frame in kept.looks()] == [0.0, pytest.approx(0.04)]


def test_thinning_keeps_an_even_bounded_choice() -> None:
    with opened(films.film(125)) as video:
        kept = Kept(video, (100, 100), 1280)
        for frame in cursor_in(video).frames_from(0.0):
            kept.keep_thinned(frame, most=12)
            assert len(kept) <= 12
        times = [frame.time_s for frame in kept.looks()]
    assert times[0] < 1.0
    assert times[-1] > 4.0
    assert max(b - a for a, b in itertools.pairwise(times)) < 1.3


def test_a_source_keeps_the_first_failure_and_tells_ffmpeg_the_end_of_the_file() -> None:
    away = Transient("store.away", "The store is away.")

    class Away(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            raise away

    source = Source(Away(b"x" * 100), 100, Budget(60))
    source.check()
    assert source.read(10) == b""
    with pytest.raises(Transient) as caught:
        source.check()
    assert caught.value is away
    with pytest.raises(Transient), source.watching():
        raise av.InvalidDataError(1, "what FFmpeg made of it")


def test_a_source_without_time_reads_nothing_more() -> None:
    source = Source(io.BytesIO(b"x" * 100), 100, Budget(-1))
    assert source.read(10) == b""
    with pytest.raises(MediaError) as caught:
        source.check()
    assert caught.value.code == "media.timeout"


def test_a_source_answers_an_impossible_seek_as_ffmpeg_expects() -> None:
    source = Source(io.BytesIO(b"0123456789"), 10, Budget(60))
    assert source.seek(-1) < 0
    assert source.seek(-11, io.SEEK_END) < 0
    assert source.seek(0, 99) < 0
    assert source.seek(-4, io.SEEK_END) == 6
    assert source.read(100) == b"6789"
    assert source.tell() == 10


def test_a_source_never_hands_out_more_than_was_asked_for() -> None:
    class Generous(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return b"x" * 1000

    assert len(Source(Generous(), 1000, Budget(60)).read(10)) == 10


def test_the_aspect_of_a_stream_reaches_its_pictures() -> None:
    with opened(films.film(3, aspect=Fraction(3, 1))) as video:
        kept = Kept(video, (444, 412), 1280)
        kept.keep(next(cursor_in(video).frames_from(0.0)))
        found = kept.finish(1, lambda packet: None)
        assert found is not None
        height, width = found.keyframes[0].image.shape[:2]
    assert width / height == pytest.approx(112 * 3 / 64, rel=0.02)
