"""What is broken: a film of each container, made here, and the shared videos where they are."""

from collections.abc import Callable
from pathlib import Path

from tests.pipelines import films

SHARED = Path(__file__).resolve().parents[3] / "shared" / "videos"
_SHARED_MOST = 3_000_000
_FRAMES = 60

_FILMS: dict[str, Callable[[], bytes]] = {
    "film.mp4": lambda: films.film(_FRAMES),
    "one-key.mp4": lambda: films.film(_FRAMES, gop=1000, picture=films.busy),
    "front.mp4": lambda: films.fast_start(films.film(_FRAMES)),
    "fragmented.mp4": lambda: films.film(_FRAMES, options=(("movflags", "frag_keyframe+empty_moov"),)),
    "film.mov": lambda: films.film(_FRAMES, container="mov", codec="mpeg4"),
    "film.mkv": lambda: films.film(_FRAMES, container="matroska"),
    "film.webm": lambda: films.film(_FRAMES, container="webm", codec="libvpx-vp9"),
    "unindexed.webm": lambda: films.film(_FRAMES, container="webm", codec="libvpx", indexed=False),
    "film.avi": lambda: films.film(_FRAMES, container="avi", codec="mpeg4"),
    "film.ts": lambda: films.film(_FRAMES, container="mpegts"),
    "film.flv": lambda: films.film(_FRAMES, container="flv"),
    "film.mpg": lambda: films.film(_FRAMES, container="mpeg", codec="mpeg2video"),
    "film.asf": lambda: films.film(_FRAMES, container="asf", codec="mpeg4"),
    "film.gif": lambda: films.gif(16),
}


def seeds(*, shared: bool = True) -> dict[str, bytes]:
    """Whole films by name: those made here, and with `shared` the shared ones up to 3 MB, if there are any."""
    found = {name: make() for name, make in _FILMS.items()}
    if shared and SHARED.is_dir():
        paths = [path for path in sorted(SHARED.iterdir()) if path.suffix not in {".md", ".json"}]
        found |= {path.name: path.read_bytes() for path in paths if 0 < path.stat().st_size <= _SHARED_MOST}
    return found
