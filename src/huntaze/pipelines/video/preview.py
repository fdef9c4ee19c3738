"""The short moving picture that a list shows when the pointer rests on a video: the cells, one after the other."""

import io

import PIL.Image

from huntaze.pipelines.video.kept import Keyframe
from huntaze.pipelines.video.scale import fit

PREVIEW_BOX = (320, 320)  # width, height
FRAME_MS = 500
_FRAMES_MOST = 16
_BYTES_MOST = 600_000
_QUALITIES = (60, 30, 5)


def preview_webp(keyframes: tuple[Keyframe, ...]) -> bytes:
    """Animated WebP that runs for ever, inside `PREVIEW_BOX` and never enlarged, half a second a picture; a few hundred
    kilobytes at most. The same bytes for the same pixels. Raises ValueError when there are no pictures."""
    if not keyframes:
        raise ValueError("a preview needs at least one picture")
    height, width = keyframes[0].image.shape[:2]
    size = fit(width, height, *PREVIEW_BOX, enlarge=False)
    pictures = [
        PIL.Image.fromarray(frame.image).resize(size, PIL.Image.Resampling.BOX) for frame in keyframes[:_FRAMES_MOST]
    ]
    body = b""
    for quality in _QUALITIES:
        body = _encode(pictures, quality)
        if len(body) <= _BYTES_MOST:
            break
    return body


def _encode(pictures: list[PIL.Image.Image], quality: int) -> bytes:
    out = io.BytesIO()
    # method 0: what a smaller file would save is less than what the search for it costs.
    pictures[0].save(
        out,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=FRAME_MS,
        loop=0,
        quality=quality,
        method=0,
        kmax=1,
    )
    return out.getvalue()
