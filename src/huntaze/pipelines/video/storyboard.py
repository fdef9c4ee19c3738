"""The strip of small pictures a player shows over its seek bar: one sprite and a WebVTT file that cuts it up."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image

from huntaze.pipelines.video.grid import shape
from huntaze.pipelines.video.kept import TILE_BOX, Keyframe
from huntaze.pipelines.video.scale import fit

SPRITE_URL = "storyboard.jpg"  # how the VTT names the sprite until somebody knows better

# As Mux has it: at most 50 moments, 100 from a quarter of an hour on; at an interval that people would choose, as
# Jellyfin's ten seconds.
_MOMENTS, _MOMENTS_LONG, _LONG_MS = 50, 100, 900_000
_INTERVALS_MS = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000)
_SHORTEST_MS = 40  # a cue that ends where it starts is none


@dataclass(frozen=True)
class Cue:
    """[start_ms, end_ms) of the video, and which picture is shown meanwhile: its position among those there are."""

    start_ms: int
    end_ms: int
    at: int


@dataclass(frozen=True)
class Storyboard:
    """jpeg: the sprite. vtt: WebVTT text whose cues name tiles by media fragment (`#xywh=`, W3C Media Fragments),
    as video.js, Plyr, Shaka and JW Player read them. tile: (width, height) in pixels."""

    jpeg: bytes
    vtt: str
    tile: tuple[int, int]


def cues(times: Sequence[float], duration_s: float | None) -> tuple[Cue, ...]:
    """What is shown when, from 0 to the end without a hole; the end is `duration_s`, or a second behind the last
    picture where that is unknown, and never before it.

    times: of the pictures, seconds, ascending, at least one. As in trick play the video is cut at a regular interval,
    and each moment shows the picture at or before it, the first where there is none before; neighbours that show
    the same are one cue.
    """
    stamps = [round(time_s * 1000) for time_s in times]
    end = max(stamps[-1] + 1000 if duration_s is None else round(duration_s * 1000), stamps[-1] + _SHORTEST_MS)
    made: list[Cue] = []
    for start in range(0, end, _interval_ms(end)):
        at = max(0, bisect_right(stamps, start) - 1)
        if made and made[-1].at == at:
            continue
        if made:
            made[-1] = Cue(made[-1].start_ms, start, made[-1].at)
        made.append(Cue(start, end, at))
    return tuple(made)


def storyboard(pictures: tuple[Keyframe, ...], *, duration_s: float | None, sprite_url: str) -> Storyboard:
    """Tiles of those pictures that `cues` shows, in order of time, no larger than `TILE_BOX`. Raises ValueError when
    there are no pictures.

    sprite_url: how the VTT names the sprite, relative to itself.
    """
    if not pictures:
        raise ValueError("a storyboard needs at least one picture")
    shown = cues([picture.time_s for picture in pictures], duration_s)
    rows, columns = shape(len(shown))
    height, width = pictures[0].image.shape[:2]
    tile = fit(width, height, *TILE_BOX, enlarge=True)
    sprite = PIL.Image.new("RGB", (columns * tile[0], rows * tile[1]))
    lines = ["WEBVTT", ""]
    for place, cue in enumerate(shown):
        left, top = place % columns * tile[0], place // columns * tile[1]
        picture = PIL.Image.fromarray(pictures[cue.at].image)
        sprite.paste(picture if picture.size == tile else picture.resize(tile, PIL.Image.Resampling.BOX), (left, top))
        lines += [
            f"{_stamp(cue.start_ms)} --> {_stamp(cue.end_ms)}",
            f"{sprite_url}#xywh={left},{top},{tile[0]},{tile[1]}",
        ]
        lines.append("")
    out = io.BytesIO()
    sprite.save(out, "JPEG", quality=75)
    return Storyboard(out.getvalue(), "\n".join(lines), tile)


def with_sprite(vtt: str, url: str) -> str:
    """The same cues, with the sprite at `url`."""
    return vtt.replace(f"\n{SPRITE_URL}#xywh=", f"\n{url}#xywh=")


def _interval_ms(end_ms: int) -> int:
    most = _MOMENTS if end_ms < _LONG_MS else _MOMENTS_LONG
    return next((step for step in _INTERVALS_MS if step * most >= end_ms), -(-end_ms // most))


def _stamp(millis: int) -> str:
    return f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}.{millis % 1000:03d}"
