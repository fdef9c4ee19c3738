"""A small video whose content is known: drawn here, so that a try-out and the tests need no file from anywhere.

Seven scenes, 20 seconds, 640x360, something moving in each; an I-frame at every cut and every second after it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import PIL.Image
import PIL.ImageDraw
from av.video.frame import PictureType, VideoFrame

WIDTH, HEIGHT, FPS = 640, 360, 25
DURATION_S = 20.0

Draw = PIL.ImageDraw.ImageDraw
_GROUND = 270


@dataclass(frozen=True)
class SampleScene:
    """One shot: where it starts, in seconds, what it shows, and the colour of its background (RGB)."""

    start_s: float
    name: str
    background: tuple[int, int, int]


SCENES = (
    SampleScene(0.0, "sunrise", (250, 170, 110)),
    SampleScene(3.0, "sea", (150, 205, 235)),
    SampleScene(5.6, "city at night", (22, 26, 56)),
    SampleScene(8.8, "forest", (200, 230, 190)),
    SampleScene(11.6, "bouncing balls", (245, 215, 70)),
    SampleScene(14.4, "clock", (20, 120, 120)),
    SampleScene(17.4, "confetti", (95, 45, 130)),
)


def scene_at(time_s: float) -> SampleScene:
    """The scene that is on screen at `time_s`."""
    return max((scene for scene in SCENES if scene.start_s <= time_s + 1e-6), key=lambda scene: scene.start_s)


def write_sample(path: Path) -> tuple[SampleScene, ...]:
    """Write the sample as MP4 (H.264 where the build has an encoder for it, else MPEG-4) and return its scenes.

    The same bytes each time on one build of the libraries. Takes a second or two.
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.flags |= 0x0400  # AVFMT_FLAG_BITEXACT: no version and no date in the file
        if "libx264" in av.codecs_available:
            options = {
                "preset": "veryfast",
                "crf": "23",
                "forced-idr": "1",
                "threads": "1",
                "x264-params": "scenecut=0",
            }
            stream = container.add_stream("libx264", rate=FPS, options=options)
        else:
            stream = container.add_stream("mpeg4", rate=FPS, options={"qscale": "5", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(int(DURATION_S * FPS)):
            frame = VideoFrame.from_ndarray(np.asarray(draw(number / FPS)), format="rgb24")
            in_scene = number - round(scene_at(number / FPS).start_s * FPS)
            frame.pict_type = PictureType.I if in_scene % FPS == 0 else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return SCENES


def draw(time_s: float) -> PIL.Image.Image:
    """The picture at `time_s`, RGB, 640x360."""
    scene = scene_at(time_s)
    image = PIL.Image.new("RGB", (WIDTH, HEIGHT), scene.background)
    _PAINTERS[scene.name](PIL.ImageDraw.Draw(image), time_s - scene.start_s)
    return image


def _disc(pen: Draw, x: float, y: float, radius: float, fill: tuple[int, int, int]) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _sunrise(pen: Draw, t: float) -> None:
    _disc(pen, 320, 290 - 50 * t, 60, (255, 235, 120))
    pen.rectangle((0, _GROUND, WIDTH, HEIGHT), fill=(110, 70, 60))
    pen.polygon([(0, _GROUND), (140, 170), (290, _GROUND)], fill=(130, 85, 80))
    pen.polygon([(390, _GROUND), (540, 190), (640, _GROUND)], fill=(120, 78, 72))


def _sea(pen: Draw, t: float) -> None:
    for row, shade in enumerate(((40, 120, 180), (30, 95, 155), (20, 70, 125))):
        base = 190 + 55 * row
        crest = [(x, base + 14 * math.sin(x / 38 + t * (2.0 + row))) for x in range(0, WIDTH + 16, 16)]
        pen.polygon([*crest, (WIDTH, HEIGHT), (0, HEIGHT)], fill=shade)
        if row == 0:
            x, y = 120 + 110 * t, 186 + 10 * math.sin(t * 2)
            pen.polygon([(x - 50, y), (x + 50, y), (x + 30, y + 26), (x - 30, y + 26)], fill=(150, 60, 40))
            pen.polygon([(x, y - 90), (x, y - 6), (x + 44, y - 6)], fill=(250, 250, 245))


def _city(pen: Draw, t: float) -> None:
    _disc(pen, 540, 70, 34, (240, 240, 210))
    for tower in range(8):
        left, top = 10 + 80 * tower, 90 + tower * 53 % 110
        pen.rectangle((left, top, left + 66, 300), fill=(52, 56, 92))
        for window in range(18):
            x, y = left + 8 + window % 3 * 20, top + 12 + window // 3 * 26
            lit = (tower * 7 + window * 5 + int(t * 2)) % 4 == 0
            if y < 280:
                pen.rectangle((x, y, x + 10, y + 14), fill=(255, 220, 120) if lit else (36, 40, 70))
    pen.rectangle((0, 300, WIDTH, HEIGHT), fill=(40, 40, 46))
    car = 190 * t - 60
    pen.rounded_rectangle((car, 312, car + 90, 338), 10, fill=(200, 40, 50))
    _disc(pen, car + 92, 324, 7, (255, 250, 200))


def _forest(pen: Draw, t: float) -> None:
    pen.rectangle((0, _GROUND, WIDTH, HEIGHT), fill=(90, 140, 70))
    for tree in range(9):
        x, height = 35 + 72 * tree, 120 + tree * 37 % 70
        pen.rectangle((x - 7, _GROUND - 10, x + 7, _GROUND + 24), fill=(90, 60, 40))
        for tier in range(3):
            top = _GROUND - height + tier * 38
            sway = 4 * math.sin(t * 2 + tree)
            pen.polygon([(x + sway, top), (x - 34, top + 62), (x + 34, top + 62)], fill=(30, 90 + 18 * tier, 50))
    fly, rise, flap = 60 + 190 * t, 60 + 14 * math.sin(t * 3), 14 * math.sin(t * 12)
    pen.line([(fly - 26, rise - flap), (fly, rise), (fly + 26, rise - flap)], fill=(40, 40, 40), width=5)


def _balls(pen: Draw, t: float) -> None:
    pen.rectangle((0, 310, WIDTH, HEIGHT), fill=(120, 90, 40))
    for ball, fill in enumerate(((220, 40, 40), (40, 90, 220), (30, 150, 70), (240, 240, 240), (140, 60, 170))):
        height = abs(math.sin(t * (2.2 + 0.3 * ball) + ball)) * 200
        _disc(pen, 80 + 120 * ball, 275 - height, 34, fill)


def _clock(pen: Draw, t: float) -> None:
    _disc(pen, 320, 180, 150, (245, 245, 235))
    for hour in range(12):
        angle = hour * math.pi / 6
        _disc(pen, 320 + 128 * math.sin(angle), 180 - 128 * math.cos(angle), 7, (30, 30, 30))
    for speed, length, width, fill in ((0.4, 75, 12, (30, 30, 30)), (2.0, 112, 6, (200, 30, 40))):
        end = (320 + length * math.sin(t * speed), 180 - length * math.cos(t * speed))
        pen.line([(320, 180), end], fill=fill, width=width)


def _confetti(pen: Draw, t: float) -> None:
    for piece in range(60):
        x = (piece * 97 + 25 * math.sin(t * 2 + piece)) % WIDTH
        y = (piece * 61 + t * (60 + piece % 7 * 14)) % HEIGHT
        fill = ((250, 200, 60), (90, 210, 250), (250, 110, 150), (150, 240, 130))[piece % 4]
        pen.rectangle((x, y, x + 12, y + 7), fill=fill)
    pen.regular_polygon((320, 180, 80), 5, rotation=int(t * 40), fill=(250, 250, 250))


_PAINTERS: dict[str, Callable[[Draw, float], None]] = dict(
    zip(
        (scene.name for scene in SCENES),
        (_sunrise, _sea, _city, _forest, _balls, _clock, _confetti),
        strict=True,
    )
)
