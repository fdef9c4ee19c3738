"""The one picture that stands for the video."""

import io
import math

import numpy as np
import PIL.Image

from huntaze.pipelines.video.colours import Image

_SAMPLE = 160  # quality is judged on about this many columns


def quality(image: Image) -> float:
    """How good a picture of it is as a poster, 0 and up: sharp, with contrast, neither black nor blown out.

    image: uint8 (h, w, 3), sRGB. Sharpness is the mean step between neighbouring pixels, damped so that noise and
    dense text do not win by themselves.
    """
    step = max(1, image.shape[1] // _SAMPLE)
    small = image[::step, ::step].astype(np.float32)
    luma = small @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    steps = [float(np.abs(np.diff(luma, axis=axis)).mean()) for axis in (0, 1) if luma.shape[axis] > 1]
    sharpness = min(sum(steps) / max(1, len(steps)), 20.0) / 20.0
    contrast = min(float(luma.std()) / 64.0, 1.0)
    colour = min(float((small.max(axis=2) - small.min(axis=2)).mean()) / 96.0, 1.0)
    mean = float(luma.mean())
    exposure = min(1.0, max(mean - 8.0, 0.0) / 48.0, max(247.0 - mean, 0.0) / 48.0)
    return exposure * (0.1 + 0.4 * math.sqrt(sharpness) + 0.3 * contrast + 0.2 * colour)


def poster_jpeg(image: Image) -> bytes:
    """JPEG of a uint8 (h, w, 3) sRGB picture; the same bytes for the same pixels."""
    out = io.BytesIO()
    PIL.Image.fromarray(image).save(out, "JPEG", quality=85, progressive=True)
    return out.getvalue()


def poster_webp(image: Image) -> bytes:
    """The same as WebP, a third smaller; not for everything that reads JPEG."""
    out = io.BytesIO()
    PIL.Image.fromarray(image).save(out, "WEBP", quality=80, method=2)
    return out.getvalue()
