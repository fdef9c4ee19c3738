"""How much pictures are worth and how much they differ, judged on thumbnails of 64x36. Pure numpy."""

import numpy as np
from numpy.typing import NDArray

from huntaze.pipelines.video.colours import Image
from huntaze.pipelines.video.thumbs import THUMB

_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_BLACK, _FLAT = 24.0, 5.0  # the 95th percentile of luma; its standard deviation
_BLURRED = 0.25  # of the middle picture's edges

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def stack(thumbs: list[Image]) -> Image:
    """Thumbnails, each (36, 64, 3), as one array (n, 36, 64, 3)."""
    return np.stack(thumbs) if thumbs else np.empty((0, THUMB[1], THUMB[0], 3), dtype=np.uint8)


def _sharpness(luma: Floats) -> Floats:
    """Steps between neighbouring pixels over the contrast: the same picture out of focus has less."""
    steps = np.abs(np.diff(luma, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(luma, axis=2)).mean(axis=(1, 2))
    return np.asarray(steps / (luma.std(axis=(1, 2)) + 4.0), dtype=np.float32)


def _edges(luma: Floats) -> Floats:
    """How abrupt steps are, over the contrast: what a picture out of focus loses first."""
    bends = [np.abs(np.diff(luma, n=2, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    return np.asarray((bends[0] + bends[1]) / (luma.std(axis=(1, 2)) + 4.0), dtype=np.float32)


def good(thumbs: Image) -> Bools:
    """Which of (n, 36, 64, 3) are neither black nor of one colour nor out of focus beside the others."""
    if not len(thumbs):
        return np.zeros(0, dtype=np.bool_)
    luma = thumbs.astype(np.float32) @ _LUMA
    shown = (np.percentile(luma, 95, axis=(1, 2)) >= _BLACK) & (luma.std(axis=(1, 2)) >= _FLAT)
    edges = _edges(luma)
    usual = np.median(edges[shown]) if shown.any() else 0.0
    return np.asarray(shown & (edges >= _BLURRED * usual), dtype=np.bool_)


def quality(thumbs: Image) -> Floats:
    """(n,) from 0 to 1: sharp, with contrast and colour, neither too dark nor blown out."""
    if not len(thumbs):
        return np.zeros(0, dtype=np.float32)
    colours = thumbs.astype(np.float32)
    luma = colours @ _LUMA
    mean = luma.mean(axis=(1, 2))
    exposure = np.clip(np.minimum(mean - 6.0, 250.0 - mean) / 50.0, 0.02, 1.0)
    contrast = np.clip(luma.std(axis=(1, 2)) / 60.0, 0.0, 1.0)
    colour = np.clip((colours.max(axis=3) - colours.min(axis=3)).mean(axis=(1, 2)) / 90.0, 0.0, 1.0)
    sharp = np.clip(_sharpness(luma) / 0.6, 0.0, 1.0)
    return np.asarray(exposure * (0.2 + 0.35 * sharp + 0.3 * contrast + 0.15 * colour), dtype=np.float32)


def distances(thumbs: Image) -> Floats:
    """(n, n), symmetric, 0 to 1: half by what is where, half by the colours there are, which a pan does not change."""
    if not len(thumbs):
        return np.zeros((0, 0), dtype=np.float32)
    places = thumbs.reshape(len(thumbs), 9, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32).reshape(len(thumbs), -1)
    moved = np.abs(places[:, None] - places[None]).mean(axis=2)
    bins = (thumbs >> 6).astype(np.intp) @ np.array([16, 4, 1]) + 64 * np.arange(len(thumbs))[:, None, None]
    counted = np.bincount(bins.ravel(), minlength=64 * len(thumbs)).reshape(-1, 64).astype(np.float32)
    colours = counted / (THUMB[0] * THUMB[1])
    mixed = np.abs(colours[:, None] - colours[None]).sum(axis=2) / 2
    return np.asarray((np.clip(moved / 48.0, 0.0, 1.0) + mixed) / 2, dtype=np.float32)
