"""Files that are no films, or films that want more than they may: nothing is touched; a grid, or a code."""

import ctypes
import io
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest

from huntaze.pipelines.video.errors import SENTENCES, MediaError
from huntaze.pipelines.video.extract import extract
from huntaze.pipelines.video.probe import Limits
from tests.pipelines import films

_IN_OPEN = 0x20
_LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Tells of every time that somebody in this system opened the file."""

    def __init__(self, path: Path) -> None:
        self._watch = _LIBC.inotify_init1(os.O_NONBLOCK)
        assert _LIBC.inotify_add_watch(self._watch, os.fsencode(path), _IN_OPEN) >= 0

    def opened(self) -> bool:
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._watch)


@contextmanager
def nothing_is_touched(secret: Path) -> Iterator[str]:
    """Gives the address of a server that must not be called, beside the file that must not be opened."""
    secret.write_bytes(films.film(20, container="mpegts"))
    watch = Watch(secret)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret.ts"
            with pytest.raises(BlockingIOError):
                listener.accept()
        assert not watch.opened()
    finally:
        watch.close()


def looked(data: bytes, limits: Limits | None = None) -> str:
    """ "grid", "damaged", or the code."""
    try:
        seen = extract(io.BytesIO(data), size_bytes=len(data), cells=4, limits=limits or Limits())
    except MediaError as error:
        return error.code if is_told_well(error) else f"{error.code} without a sentence"
    return "damaged" if seen.damaged else "grid"


def is_told_well(error: MediaError) -> bool:
    return error.code in SENTENCES and error.message.endswith(".") and "{" not in error.message


# What names other files

_HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n{line}#EXTINF:4.0,\n{url}\n#EXT-X-ENDLIST\n"
SCRIPTS: dict[str, str] = {
    "hls": _HLS.replace("{line}", ""),
    "hls with a key": _HLS.replace("{line}", '#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n'),
    "hls with a first part": _HLS.replace("{line}", '#EXT-X-MAP:URI="{url}"\n'),
    "hls master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "concat, unsafe": "ffconcat version 1.0\nfile '{url}'\noption safe 0\n",
    "smooth streaming": '<?xml version="1.0"?><SmoothStreamingMedia><c n="{url}"/></SmoothStreamingMedia>',
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "asf reference": "[Reference]\r\nRef1={url}\r\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}" width="9" height="9"/></svg>',
    "imf": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>{url}</Id></CompositionPlaylist>',
    "rtsp redirect": "rtsptext\r\n{url}\r\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:{url}\n",
}
ADDRESSES: tuple[Callable[[Path, str], str], ...] = (
    lambda secret, url: str(secret),
    lambda secret, url: secret.as_uri(),
    lambda secret, url: secret.name,
    lambda secret, url: f"subfile,,start,0,end,0,,:{secret}",
    lambda secret, url: f"concat:{secret}|{secret}",
    lambda secret, url: f"async:cache:file:{secret}",
    lambda secret, url: url,
    lambda secret, url: url.replace("http:", "tcp:"),
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_under_a_films_name_opens_no_file_and_no_socket(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, secret = tmp_path / "film.mp4", tmp_path / "secret.ts"
    with nothing_is_touched(secret) as url:
        for address in ADDRESSES:
            path.write_text(SCRIPTS[name].replace("{url}", address(secret, url)))
            with path.open("rb") as file, pytest.raises(MediaError) as caught:
                extract(file, size_bytes=path.stat().st_size)
            assert caught.value.code in {"media.unsupported_format", "media.unreadable"}


def test_the_watch_sees_what_ffmpeg_opens(tmp_path: Path) -> None:
    """The same script without our locks: the test above would see it."""
    secret, path = tmp_path / "secret.ts", tmp_path / "film.mp4"
    path.write_text(SCRIPTS["concat"].replace("{url}", secret.name))

    def unlocked() -> None:
        with nothing_is_touched(secret), av.open(str(path)) as opened:
            assert opened.streams.video

    with pytest.raises(AssertionError):
        unlocked()


def test_a_reference_inside_an_mp4_to_a_file_beside_it_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ts"
    with nothing_is_touched(secret):
        data = films.film(20)
        for kind in (b"alis", b"rsrc", b"url "):
            with_reference = data.replace(b"url \0\0\0\1", kind + struct.pack(">I", 0))
            assert looked(with_reference) in {"grid", "media.no_frames", "media.unreadable"}


def test_what_is_attached_to_a_film_stays_in_it(tmp_path: Path) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 112, 64, "yuv420p"
        for name in ("../../font.ttf", "/etc/cron.d/x", "film.m3u8"):
            film.add_attachment(name, "application/x-truetype-font", SCRIPTS["hls"].encode())
        for number in range(20):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(films.bars(number), format="rgb24")))
        film.mux(stream.encode())
    assert looked(out.getvalue()) == "grid"


# What is no film, or not a whole one

_MP4 = films.film(40)
_AT, _INDEX = _MP4.index(b"mdat"), _MP4.index(b"moov") - 4


def encrypted() -> bytes:
    return _MP4.replace(b"avc1", b"encv")


def sound() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as film:
        stream = film.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        pytest.param(b"", {"media.empty"}, id="empty"),
        pytest.param(b"\0", {"media.unreadable"}, id="one byte"),
        pytest.param(bytes(100_000), {"media.unreadable"}, id="zeros"),
        pytest.param(Random(1).randbytes(100_000), {"media.unreadable"}, id="noise"),
        pytest.param(
            _MP4[:8] + Random(2).randbytes(50_000), {"media.unreadable"}, id="noise behind an MP4's first box"
        ),
        pytest.param(_MP4[: len(_MP4) // 2], {"media.unreadable"}, id="cut before its index"),
        pytest.param(films.fast_start(_MP4)[:-200], {"grid", "damaged"}, id="cut at its end"),
        pytest.param(_MP4[:_AT] + bytes(len(_MP4) - _AT), {"media.unreadable"}, id="zeroed from the pictures on"),
        pytest.param(
            _MP4[: _AT + 4] + bytes(_INDEX - _AT - 4) + _MP4[_INDEX:], {"media.no_frames"}, id="zeroed pictures"
        ),
        pytest.param(encrypted(), {"grid", "media.no_frames", "media.unsupported_format"}, id="marked as encrypted"),
        pytest.param(sound(), {"media.no_video"}, id="sound"),
        pytest.param(films.jpeg((64, 64)), {"media.unsupported_format"}, id="picture"),
        pytest.param(b"\0\1\0\0\0\x0c" + bytes(500), {"media.unreadable", "media.unsupported_format"}, id="font"),
        pytest.param(b"%PDF-1.7\n" + b"x" * 5000, {"media.unreadable"}, id="document"),
        pytest.param(b"\x7fELF" + bytes(5000), {"media.unreadable"}, id="program"),
    ],
)
def test_a_grid_of_what_can_be_read_or_a_code(data: bytes, codes: set[str]) -> None:
    assert looked(data) in codes


# What wants more than it may


def of_size(container: str, width: int, height: int) -> bytes:
    """A film that says it is so large; its pictures are nothing."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as film:
        codec = {"webm": "vp8", "mp4": "h264", "mov": "h264"}.get(container, "mpeg4")
        stream = film.add_mux_stream(codec, rate=25, width=width, height=height)
        for number in range(20):
            packet = av.Packet(bytes(200))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, True
            film.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize("container", ["mp4", "matroska", "webm", "avi", "mov"])
def test_a_picture_of_16384_squared_is_refused_before_it_is_decoded(container: str) -> None:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = of_size(container, 16384, 16384)
    with pytest.raises(MediaError) as caught:
        extract(io.BytesIO(data), size_bytes=len(data))
    assert caught.value.code == "media.too_many_pixels"
    assert "16384x16384" in caught.value.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 100_000  # kB; one such picture is 400 MB


@pytest.mark.parametrize(
    ("codec", "container"),
    [("libx264", "mpegts"), ("mpeg2video", "mpegts"), ("mpeg2video", "mpeg"), ("libx264", "flv"), ("mpeg4", "asf")],
)
def test_sizes_that_only_the_stream_itself_tells_are_bound_as_well(codec: str, container: str) -> None:
    data = films.film(20, codec=codec, container=container)
    assert looked(data, Limits(max_pixels=112 * 64 - 1)) == "media.too_many_pixels"
    assert looked(data, Limits(max_pixels=112 * 64 // 4)) == "media.too_many_pixels"


def test_too_many_tracks() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as film:
        for _ in range(120):
            film.add_mux_stream("vp8", rate=25, width=64, height=64)
        packet = av.Packet(bytes(20))
        packet.pts = packet.dts = 0
        packet.time_base, packet.stream = Fraction(1, 25), film.streams[0]
        film.mux(packet)
    assert looked(out.getvalue()) == "media.too_many_streams"
    assert looked(out.getvalue(), Limits(max_streams=120)) == "media.no_frames"


_IN_A_PROCESS = """
import io, json, resource, sys, threading
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.extract import extract
from huntaze.pipelines.video.probe import Limits
data, codes = sys.stdin.buffer.read(), []
for memory in (4, 1500):
    try:
        extract(io.BytesIO(data), size_bytes=len(data), limits=Limits(memory_bytes=memory * 10**6))
        codes.append("grid")
    except MediaError as error:
        codes.append(error.code)
    codes.append([list(resource.getrlimit(resource.RLIMIT_DATA)), threading.active_count()])
print(json.dumps(codes))
"""


def test_memory_is_bound_and_given_back_and_the_next_film_has_its_own() -> None:
    data = films.film(4, picture=lambda number: np.full((2304, 4096, 3), 30 * number, dtype=np.uint8))
    done = subprocess.run([sys.executable, "-c", _IN_A_PROCESS], input=data, capture_output=True, check=True)
    free = [list(resource.getrlimit(resource.RLIMIT_DATA)), 1]
    assert json.loads(done.stdout) == ["media.over_memory", free, "grid", free]
