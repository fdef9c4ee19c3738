"""Which I-frames are looked at, by what the index alone says; and that the index says it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from huntaze.pipelines.video import plan
from huntaze.pipelines.video.index import Entry, Index, read_index, read_spikes
from huntaze.pipelines.video.probe import Limits, Opened, open_video
from huntaze.pipelines.video.source import Budget, Source
from tests.pipelines import films


def keys_of(sizes: list[int], step_s: float = 2.0) -> list[Entry]:
    return [Entry(number, number, step_s * number, 1_000_000 * number, size) for number, size in enumerate(sizes)]


sizes = st.lists(st.integers(0, 500_000), min_size=1, max_size=80)


@given(sizes=sizes, count=st.integers(1, 64))
def test_the_picked_are_distinct_ascending_and_as_many_as_there_are(sizes: list[int], count: int) -> None:
    picked = plan.pick(keys_of(sizes), count)
    assert picked == sorted(set(picked))
    assert len(picked) == min(count, len(sizes))
    assert all(0 <= at < len(sizes) for at in picked)


@given(sizes=sizes, cells=st.sampled_from([1, 4, 9, 16]), room=st.integers(0, 10_000_000))
def test_no_more_bytes_than_there_is_room_for_unless_cells_would_stay_empty(
    sizes: list[int], cells: int, room: int
) -> None:
    keys = keys_of(sizes)
    picked = plan.pick_within(keys, plan.candidates(cells, 1280 * 720), cells, room)
    assert len(picked) >= min(cells, len(keys))
    assert len(picked) <= max(cells, plan.candidates(cells, 1280 * 720))
    if len(picked) > cells:
        assert plan.total(plan.ranges(keys, picked)) <= room


@given(
    entries=st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 90_000)), min_size=1, max_size=30),
    data=st.data(),
)
def test_ranges_hold_every_picked_key_and_never_touch(entries: list[tuple[int, int]], data: st.DataObject) -> None:
    keys = [Entry(at, at, float(at), pos, size) for at, (pos, size) in enumerate(entries)]
    picked = data.draw(st.lists(st.sampled_from(range(len(keys))), min_size=1, unique=True))
    ranges = plan.ranges(keys, picked)
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))
    for at in picked:
        assert any(start <= keys[at].pos and keys[at].pos + keys[at].size <= end for start, end in ranges)


@given(
    seen=st.lists(st.integers(0, 99), min_size=1, max_size=30, unique=True).map(sorted),
    count=st.integers(0, 20),
    data=st.data(),
)
def test_what_is_looked_at_next_was_not_seen_and_lies_where_it_differs(
    seen: list[int], count: int, data: st.DataObject
) -> None:
    differ = data.draw(st.lists(st.floats(0, 1), min_size=len(seen) - 1, max_size=len(seen) - 1))
    picked = plan.between(seen, differ, 100, count, 0.25)
    assert len(picked) == len(set(picked)) <= count
    assert not set(picked) & set(seen)
    for at in picked:
        before = max((one for one in seen if one < at), default=None)
        if before is not None and at < seen[-1]:
            assert differ[seen.index(before)] >= 0.25


def test_a_row_of_one_size_is_one_shot_and_a_change_of_size_another() -> None:
    keys = keys_of([50_000] * 20 + [90_000, 30_000, 70_000, 20_000, 60_000] + [50_000] * 20)
    assert set(range(20, 25)) <= set(plan.pick(keys, 13))


def test_the_empty_ones_come_last() -> None:
    keys = keys_of([50_000, 900, 60_000, 55_000, 800, 52_000])
    assert plan.pick(keys, 4) == [0, 2, 3, 5]
    assert plan.pick(keys, 5) == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("size", "cells", "first", "most"),
    [((320, 180), 9, 64, 64), ((1280, 720), 9, 13, 64), ((3840, 2160), 9, 13, 26), ((7680, 4320), 9, 9, 9)],
)
def test_the_larger_the_pictures_the_fewer(size: tuple[int, int], cells: int, first: int, most: int) -> None:
    pixels = size[0] * size[1]
    assert (plan.candidates(cells, pixels), plan.candidates_most(cells, pixels)) == (first, most)


def test_a_large_object_is_read_by_3_or_6_percent() -> None:
    assert plan.bytes_most(50_000_000, 9) <= 0.035 * 50_000_000
    assert plan.bytes_most(50_000_000, 16) <= 0.06 * 50_000_000


# What containers tell


@contextmanager
def opened(data: bytes) -> Iterator[Opened]:
    source = Source(io.BytesIO(data), len(data), Budget(60))
    with open_video(source, size_bytes=len(data), limits=Limits()) as video:
        yield video


def index_of(video: Opened) -> Index:
    index = read_index(video)
    assert index is not None
    return index


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("avi", "mpeg4"), ("mov", "libx264")])
def test_each_key_of_the_index_is_where_a_seek_to_its_aim_lands(container: str, codec: str) -> None:
    with opened(films.film(100, container=container, codec=codec)) as video:
        keys = index_of(video).keys
        assert len(keys) >= 9
        assert keys[-1].time_s * films.FPS == pytest.approx(96)
        for key in keys:
            video.container.seek(key.aim, stream=video.stream)
            packet = next(video.container.demux(video.stream))
            assert packet.is_keyframe
            assert packet.size == key.size
            if container != "avi":  # there the index names the header of the chunk
                assert packet.pos == key.pos


@pytest.mark.parametrize("made", [{"container": "mpegts"}, {"container": "matroska", "indexed": False}])
def test_what_has_no_index_has_none(made: dict[str, object]) -> None:
    with opened(films.film(100, **made)) as video:  # type: ignore[arg-type]
        assert read_index(video) is None


def test_an_index_that_ends_long_before_the_film_is_none() -> None:
    """As of a fragmented file, of which only the first fragments were read."""
    with opened(films.film(100)) as video:
        assert read_index(replace(video, facts=replace(video.facts, duration_s=15.0))) is not None
        assert read_index(replace(video, facts=replace(video.facts, duration_s=60.0))) is None


def two_shots(number: int) -> NDArray[np.uint8]:
    """Still, and from frame 60 on another."""
    return films.noise(1 if number < 60 else 2)


def test_a_shot_without_an_i_frame_shows_in_the_sizes() -> None:
    with opened(films.film(100, gop=1000, picture=two_shots)) as video:
        index = index_of(video)
        spikes = read_spikes(video, index)
        assert len(index.keys) == 1
        assert len(spikes) == 1
        assert spikes[0].entry.time_s * films.FPS == pytest.approx(60, abs=4)
        assert spikes[0].from_pos == index.keys[0].pos
