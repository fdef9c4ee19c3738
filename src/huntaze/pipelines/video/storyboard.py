"""The strip of small pictures a player shows over its seek bar: one sprite and a WebVTT file that cuts it up."""

import io
from dataclasses import dataclass

import PIL.Image

from huntaze.pipelines.video.grid import shape
from huntaze.pipelines.video.kept import Keyframe

TILE_WIDTH = 256  # as Mux makes them; Jellyfin's are 320
_TILE_HEIGHT_MOST = 256
SPRITE_URL = "storyboard.jpg"  # how the VTT names the sprite until somebody knows better
_SHORTEST_S = 0.04  # a cue that ends where it starts is none


@dataclass(frozen=True)
class Storyboard:
    """jpeg: the sprite. vtt: WebVTT text whose cues name tiles by media fragment (`#xywh=`, W3C Media Fragments),
    as video.js, Plyr, Shaka and JW Player read them. tile: (width, height) in pixels."""

    jpeg: bytes
    vtt: str
    tile: tuple[int, int]


def storyboard(keyframes: tuple[Keyframe, ...], *, duration_s: float | None, sprite_url: str) -> Storyboard:
    """Tiles in order of time. A tile is shown from its own time to the next tile's, the first from 0, the last to
    the end (`duration_s`, or a second on where that is unknown). Raises ValueError when there are no pictures.

    sprite_url: how the VTT names the sprite, relative to itself.
    """
    rows, columns = shape(len(keyframes))
    height, width = keyframes[0].image.shape[:2]
    scale = min(TILE_WIDTH / width, _TILE_HEIGHT_MOST / height)
    tile = (max(1, round(width * scale)), max(1, round(height * scale)))
    sprite = PIL.Image.new("RGB", (columns * tile[0], rows * tile[1]))
    starts = [0.0, *(frame.time_s for frame in keyframes[1:])]
    last = keyframes[-1].time_s
    ends = [*starts[1:], last + 1.0 if duration_s is None else max(duration_s, last + _SHORTEST_S)]
    lines = ["WEBVTT", ""]
    for at, frame in enumerate(keyframes):
        left, top = at % columns * tile[0], at // columns * tile[1]
        sprite.paste(PIL.Image.fromarray(frame.image).resize(tile, PIL.Image.Resampling.BOX), (left, top))
        lines += [f"{_stamp(starts[at])} --> {_stamp(ends[at])}", f"{sprite_url}#xywh={left},{top},{tile[0]},{tile[1]}"]
        lines.append("")
    out = io.BytesIO()
    sprite.save(out, "JPEG", quality=75)
    return Storyboard(out.getvalue(), "\n".join(lines), tile)


def with_sprite(vtt: str, url: str) -> str:
    """The same cues, with the sprite at `url`."""
    return vtt.replace(f"\n{SPRITE_URL}#xywh=", f"\n{url}#xywh=")


def _stamp(time_s: float) -> str:
    millis = round(time_s * 1000)
    return f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"
