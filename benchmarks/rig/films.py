"""Films to measure on: made once from drawn textures by libx264, kept outside the repository, known shot by shot.

Each shot is a photograph-like texture (1/f noise) that a camera pans over, with a second one drifting through it as
water, leaves and crowds do, discs that move and fresh grain, so that the sizes of I- and P-frames relate as in real
footage; lengths are uneven. The same bytes each time on one build.
"""

import os
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

FPS = 25
_RATE = 48_000
_VERSION = 1  # of the drawing: an older film of the same name is not taken for this one


@dataclass(frozen=True)
class Film:
    """What to make. `bit_rate`: of the video, bits a second; None encodes at a constant quality."""

    name: str
    seconds: float
    size: tuple[int, int]
    bit_rate: int | None
    fps: int = FPS
    preset: str = "veryfast"


FILMS = {
    film.name: film
    for film in (
        Film("90s_720p_50mb", 90.0, (1280, 720), 4_300_000),
        Film("300s_720p", 300.0, (1280, 720), 4_300_000),
        Film("30s_720p", 30.0, (1280, 720), 4_300_000),
        Film("8k", 2.0, (7680, 4320), None, fps=10, preset="ultrafast"),
    )
}


def folder() -> Path:
    """Where films are kept: `HUNTAZE_BENCH_FILMS`, or a folder of the machine's temporary ones."""
    return Path(os.environ.get("HUNTAZE_BENCH_FILMS", Path(tempfile.gettempdir()) / "huntaze-bench-films"))


def film(name: str) -> Path:
    """The path of a film, which is made if it is not there yet (a minute or two)."""
    wanted = FILMS[name]
    path = folder() / f"{name}-v{_VERSION}.mp4"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}.part")
        _encode(wanted, half)
        half.replace(path)
    return path


def shot_starts(seconds: float) -> list[float]:
    """Where shots begin: uneven lengths from 0.8 to 9 seconds, the same each time."""
    dice, starts, at = np.random.default_rng(7), [], 0.0
    while at < seconds - 0.5:
        starts.append(round(at * FPS) / FPS)
        at += float(np.clip(dice.lognormal(1.0, 0.7), 0.8, 9.0))
    return starts


def _encode(wanted: Film, path: Path) -> None:
    width, height = wanted.size
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = {"crf": "23"} if wanted.bit_rate is None else {}
        options = {"preset": wanted.preset, "threads": "2", **rate}
        video = container.add_stream("libx264", rate=wanted.fps, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        if wanted.bit_rate is not None:
            video.bit_rate = wanted.bit_rate
        audio = container.add_stream("aac", rate=_RATE, layout="stereo")
        audio.bit_rate = 128_000
        starts, heard = shot_starts(wanted.seconds), 0
        for number in range(int(wanted.seconds * wanted.fps)):
            now = number / wanted.fps
            shot = sum(start <= now for start in starts) - 1
            frame = VideoFrame.from_ndarray(_picture(shot, now - starts[shot], wanted.size), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, wanted.fps)
            container.mux(video.encode(frame))
            while heard < now * _RATE:
                container.mux(audio.encode(_sound(heard)))
                heard += 1024
        container.mux(video.encode())
        container.mux(audio.encode())


def _sound(at: int) -> AudioFrame:
    hiss = np.random.default_rng(at).normal(0, 0.1, (2, 1024)).astype(np.float32)
    frame = AudioFrame.from_ndarray(hiss, format="fltp", layout="stereo")
    frame.rate, frame.pts, frame.time_base = _RATE, at, Fraction(1, _RATE)
    return frame


_textures: dict[tuple[int, tuple[int, int]], tuple[NDArray[np.uint8], ...]] = {}


def _texture(shot: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], ...]:
    """Luma and the two chroma planes of a picture a quarter larger than the frame."""
    if (shot, size) not in _textures:
        _textures.clear()
        width, height = size[0] * 5 // 4 // 4 * 4, size[1] * 5 // 4 // 4 * 4
        dice = np.random.default_rng(1000 + shot)
        luma = _clouds(dice, width, height, steepness=float(dice.uniform(1.5, 1.9)))
        mean, contrast = dice.uniform(80, 165), dice.uniform(28, 52)
        planes = [np.clip(mean + contrast * luma, 16, 235).astype(np.uint8)]
        for _ in range(2):
            tint = dice.uniform(95, 160) + 14 * _clouds(dice, width // 2, height // 2, steepness=1.6)
            planes.append(np.clip(tint, 16, 240).astype(np.uint8))
        _textures[shot, size] = tuple(planes)
    return _textures[shot, size]


def _clouds(dice: np.random.Generator, width: int, height: int, steepness: float) -> NDArray[np.float32]:
    """Noise whose spectrum falls with frequency as that of photographs does; mean 0, deviation 1."""
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :]
    fall = np.maximum(np.hypot(rows, columns), 1 / max(width, height)) ** -steepness
    spectrum = fall * np.exp(2j * np.pi * dice.random(fall.shape))
    noise = np.fft.irfft2(spectrum, (height, width))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


_GRAIN = np.random.default_rng(3).normal(0, 1.6, 1 << 20).astype(np.int8)


def _picture(shot: int, time_s: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """One frame as PyAV wants yuv420p: (height * 3 / 2, width)."""
    width, height = size
    luma, blue, red = _texture(shot, size)
    dice = np.random.default_rng(5000 + shot)
    speed, heading = dice.uniform(4, 70) * width / 1280, dice.uniform(0, 2 * np.pi)
    room_x, room_y = luma.shape[1] - width, luma.shape[0] - height
    x = int(room_x / 2 + np.cos(heading) * speed * (time_s - 2)) // 2 * 2
    y = int(room_y / 2 + np.sin(heading) * speed * (time_s - 2)) // 2 * 2
    x, y = min(max(x, 0), room_x // 2 * 2), min(max(y, 0), room_y // 2 * 2)
    out = np.empty((height * 3 // 2, width), dtype=np.uint8)
    drift = _drift(time_s, shot, size)
    start = (int(time_s * 1e4) * 7919 + shot * 104_729) % 4096
    grain = np.resize(_GRAIN[start:], width * height).reshape(height, width)
    np.clip(luma[y : y + height, x : x + width] + (drift + grain), 0, 255, out=out[:height], casting="unsafe")
    for disc in range(3):
        _disc(out[:height], dice, time_s, disc)
    chroma = out[height:].reshape(-1)
    quarter = width * height // 4
    chroma[:quarter] = blue[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2].reshape(-1)
    chroma[quarter:] = red[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2].reshape(-1)
    return out


_waves: dict[tuple[int, int], NDArray[np.int16]] = {}


def _drift(time_s: float, shot: int, size: tuple[int, int]) -> NDArray[np.int16]:
    """What moves of itself in the picture, by another way than the camera, and unlike a moment ago."""
    width, height = size
    if size not in _waves:
        waves = _clouds(np.random.default_rng(11), 2 * width, 2 * height, steepness=1.3)
        _waves[size] = (9 * waves).astype(np.int16)
    waves, step = _waves[size], int(time_s * 150 * width / 1280)
    x, y = (step + 97 * shot) % width, (step // 3 + 61 * shot) % height
    back = (2 * step + 31 * shot) % width
    return (
        waves[y : y + height, x : x + width] + waves[height - y : 2 * height - y, width - back : 2 * width - back]
    ) // 2


def _disc(luma: NDArray[np.uint8], dice: np.random.Generator, time_s: float, number: int) -> None:
    height, width = luma.shape
    radius = int(dice.uniform(0.04, 0.11) * height)
    x = int(dice.uniform(0, width) + dice.uniform(-200, 200) * width / 1280 * time_s) % (width - 2 * radius)
    y = int(dice.uniform(0, height) + dice.uniform(-80, 80) * height / 720 * time_s) % (height - 2 * radius)
    part = luma[y : y + 2 * radius, x : x + 2 * radius]
    rows, columns = np.ogrid[-radius:radius, -radius:radius]
    part[rows**2 + columns**2 < radius**2] = 40 + 60 * number
