"""What others make of the same file: ffmpeg's commands that people copy, and PySceneDetect."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

_CELL = "scale=444:250"
_DETECT = "import sys, scenedetect; print(len(scenedetect.detect(sys.argv[1], scenedetect.AdaptiveDetector())))"


@dataclass(frozen=True)
class Spent:
    """Seconds of the clock and of all cores together."""

    wall: float
    cpu: float


def ffmpeg_i_frames(path: Path) -> Spent:
    """All I-frames, scaled and tiled."""
    return _ffmpeg(path, before=["-skip_frame", "nokey"], filters=f"{_CELL},tile=6x6")


def ffmpeg_scenes(path: Path) -> Spent:
    """The frames at cuts, by ffmpeg's own score of change, tiled."""
    return _ffmpeg(path, before=[], filters=rf"select=gt(scene\,0.3),{_CELL},tile=6x6")


def scene_detect(path: Path) -> Spent:
    """PySceneDetect's AdaptiveDetector with its defaults, which decode every frame; no picture is made."""
    return _run([sys.executable, "-c", _DETECT, str(path)])


def _ffmpeg(path: Path, *, before: list[str], filters: str) -> Spent:
    with tempfile.TemporaryDirectory(prefix="huntaze-bench-") as folder:
        out = ["-an", "-vf", filters, "-fps_mode", "passthrough", f"{folder}/%03d.jpg"]
        spent = _run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *before, "-i", str(path), *out])
        if not any(Path(folder).iterdir()):
            raise RuntimeError("ffmpeg wrote no picture")
        return spent


def _run(argv: list[str]) -> Spent:
    begun = time.perf_counter()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}")
    return Spent(time.perf_counter() - begun, used.ru_utime + used.ru_stime)
