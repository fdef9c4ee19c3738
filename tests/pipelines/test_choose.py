"""The chooser and its scores: whatever comes in, distinct positions in order of time come out."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from huntaze.pipelines.video.choose import cells_for, choose, shots
from huntaze.pipelines.video.colours import Image
from huntaze.pipelines.video.score import distances, good, quality, stack
from huntaze.pipelines.video.thumbs import THUMB

SHAPE = (THUMB[1], THUMB[0], 3)

thumbs_of_all_kinds = st.integers(0, 12).flatmap(
    lambda count: st.one_of(
        arrays(np.uint8, (count, *SHAPE), fill=st.integers(0, 255)),
        st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), np.uint8)),
        st.just(np.zeros((count, *SHAPE), np.uint8)),
    )
)


def scene(seed: int, *, shift: int = 0, noise: float = 0.0) -> Image:
    """A made-up picture, told apart from others by its seed; `shift` pans it."""
    dice = np.random.default_rng(seed)
    blocks = np.kron(dice.integers(20, 236, (6, 16, 3)), np.ones((6, 8, 1)))[:, shift : shift + THUMB[0]]
    return np.clip(blocks + np.random.default_rng(0).normal(0, noise + 0.01, SHAPE), 0, 255).astype(np.uint8)


def chosen_from(thumbs: list[Image], times: list[float], count: int) -> list[int]:
    pictures = stack(thumbs)
    return choose(times, quality(pictures), distances(pictures), good(pictures), count)


@settings(deadline=None)
@given(thumbs=thumbs_of_all_kinds, count=st.sampled_from([1, 4, 9, 16]), data=st.data())
def test_the_chosen_are_distinct_in_range_in_order_of_time_and_as_many_as_there_are(
    thumbs: Image, count: int, data: st.DataObject
) -> None:
    times = data.draw(st.lists(st.floats(0, 30_000), min_size=len(thumbs), max_size=len(thumbs)))
    chosen = choose(times, quality(thumbs), distances(thumbs), good(thumbs), count)
    assert len(chosen) == len(set(chosen)) == min(count, len(thumbs))
    assert all(0 <= at < len(thumbs) for at in chosen)
    assert [times[at] for at in chosen] == sorted(times[at] for at in chosen)


@settings(deadline=None)
@given(
    seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=20, unique=True),
    count=st.integers(1, 16),
    data=st.data(),
)
def test_what_is_not_good_comes_only_when_all_that_is_good_is_in(
    seeds: list[int], count: int, data: st.DataObject
) -> None:
    pictures = stack([scene(seed) for seed in seeds])
    fine = np.array(data.draw(st.lists(st.booleans(), min_size=len(seeds), max_size=len(seeds))), dtype=np.bool_)
    chosen = choose([float(at) for at in range(len(seeds))], quality(pictures), distances(pictures), fine, count)
    assert fine[chosen].sum() == min(count, fine.sum())


@settings(deadline=None, max_examples=50)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=20, unique=True), shuffle=st.randoms())
def test_the_order_in_which_candidates_come_changes_nothing(seeds: list[int], shuffle: random.Random) -> None:
    thumbs = [scene(seed) for seed in seeds]
    times = [3.0 * number for number in range(len(seeds))]
    order = list(range(len(seeds)))
    shuffle.shuffle(order)
    one = chosen_from(thumbs, times, 9)
    other = chosen_from([thumbs[at] for at in order], [times[at] for at in order], 9)
    assert [times[at] for at in one] == [times[order[at]] for at in other]


@settings(deadline=None)
@given(thumbs=thumbs_of_all_kinds)
def test_distances_are_symmetric_from_0_to_1_and_0_to_oneself(thumbs: Image) -> None:
    apart = distances(thumbs)
    assert apart.shape == (len(thumbs), len(thumbs))
    assert np.allclose(apart, apart.T)
    assert np.allclose(np.diagonal(apart), 0)
    assert ((apart >= 0) & (apart <= 1 + 1e-6)).all()


@settings(deadline=None)
@given(thumbs=thumbs_of_all_kinds)
def test_quality_is_from_0_to_1(thumbs: Image) -> None:
    worth = quality(thumbs)
    assert worth.shape == (len(thumbs),)
    assert ((worth >= 0) & (worth <= 1)).all()


def blurred(picture: Image) -> Image:
    wide = np.pad(picture.astype(float), ((6, 6), (6, 6), (0, 0)), mode="edge")
    return (sum(wide[y : y + 36, x : x + 64] for y in range(13) for x in range(13)) / 169).astype(np.uint8)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(np.zeros(SHAPE, np.uint8), id="black"),
        pytest.param(np.full(SHAPE, 9, np.uint8), id="nearly black"),
        pytest.param(np.full(SHAPE, (200, 30, 30), np.uint8), id="one colour"),
        pytest.param(blurred(scene(3)), id="out of focus"),
    ],
)
def test_what_shows_nothing_drops_out_while_there_is_better(spoilt: Image) -> None:
    thumbs = [scene(1), spoilt, scene(2), scene(4), scene(5)]
    assert good(stack(thumbs)).tolist() == [True, False, True, True, True]
    times = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert chosen_from(thumbs, times, 4) == [0, 2, 3, 4]
    assert chosen_from(thumbs, times, 9) == [0, 1, 2, 3, 4], "and fills the last cell"


def test_each_shot_comes_before_any_comes_twice() -> None:
    """A long shot, five short ones and the first again: 12 candidates, of which six are of two shots."""
    thumbs = [scene(1, shift=at % 3, noise=2) for at in range(4)]
    thumbs += [scene(seed) for seed in range(10, 15)] + [scene(1, shift=at % 3, noise=2) for at in range(3)]
    times = [10.0 * at for at in range(4)] + [40.0 + at for at in range(5)] + [50.0 + 10 * at for at in range(3)]
    shot = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert shots(distances(stack(thumbs))) == 7
    assert {shot[at] for at in chosen_from(thumbs, times, 9)} == set(range(7))


def test_one_long_shot_is_spread_in_time() -> None:
    times = [float(at) for at in range(60)]
    chosen = [times[at] for at in chosen_from([scene(1, noise=2)] * 60, times, 9)]
    assert max(b - a for a, b in pairwise(chosen)) <= 2 * 60 / 9 + 1


@pytest.mark.parametrize(
    ("duration_s", "cells"), [(None, 9), (0.1, 4), (9.9, 4), (10.0, 9), (599.0, 9), (600.0, 16), (20_000.0, 16)]
)
def test_cells_follow_the_length(duration_s: float | None, cells: int) -> None:
    assert cells_for(duration_s) == cells
