"""What a file may and may not make FFmpeg do, and what it tells of itself."""

import io
import socket
from fractions import Fraction
from pathlib import Path

import av
import pytest

from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.extract import extract
from huntaze.pipelines.video.probe import Limits, MediaFacts, open_video
from huntaze.pipelines.video.source import Budget, Source
from tests.pipelines import films


def facts_of(data: bytes) -> MediaFacts:
    source = Source(io.BytesIO(data), len(data), Budget(60))
    with open_video(source, size_bytes=len(data), limits=Limits()) as opened:
        return opened.facts


def test_the_facts_of_a_film() -> None:
    data = films.film(50)
    assert facts_of(data) == MediaFacts(
        container="mov",
        codec="h264",
        width=112,
        height=64,
        rotation=0,
        duration_s=2.0,
        fps=25.0,
        has_audio=False,
        size_bytes=len(data),
        hdr=False,
    )


def test_the_size_is_the_one_shown() -> None:
    wide = facts_of(films.film(5, aspect=Fraction(2, 1)))
    assert (wide.width, wide.height) == (224, 64)
    turned = facts_of(films.film(5, rotation=(90, False, False)))
    assert (turned.width, turned.height) == (64, 112)
    assert turned.rotation in {90, 270}


def playlist(url: str) -> str:
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n{url}\n#EXT-X-ENDLIST\n"


def script(url: str) -> str:
    return f"ffconcat version 1.0\nfile '{url}'\n"


def manifest(url: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT4S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )


def session(url: str) -> str:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{url}\nm=video 5004 RTP/AVP 96\n"


WRITERS = [playlist, script, manifest, session]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["film.mp4", "film.m3u8", "film.mpd", "film.sdp"])
def test_a_file_that_names_other_files_opens_none_of_them(tmp_path: Path, write: object, name: str) -> None:
    assert callable(write)
    secret = tmp_path / "secret.ts"
    secret.write_bytes(films.film(50, container="mpegts"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/film.ts"
        for url in (str(secret), secret.as_uri(), secret.name, address):
            path = tmp_path / name
            path.write_text(write(url))
            with path.open("rb") as file, pytest.raises(MediaError) as caught:
                extract(file, size_bytes=path.stat().st_size)
            assert caught.value.code in {"media.unsupported_format", "media.unreadable"}
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_script_that_names_its_neighbour_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that FFmpeg's own caution lets through: a relative name, looked for where the worker runs."""
    (tmp_path / "secret.mp4").write_bytes(films.film(10))
    monkeypatch.chdir(tmp_path)
    data = script("secret.mp4").encode()
    with av.open(io.BytesIO(data)) as unlocked:
        assert sum(1 for _ in unlocked.decode(video=0)) == 10
    with pytest.raises(MediaError) as caught:
        extract(io.BytesIO(data), size_bytes=len(data))
    assert caught.value.code == "media.unsupported_format"


def test_the_danger_is_real_where_nothing_is_locked(tmp_path: Path) -> None:
    """The same script does open its neighbour when FFmpeg is given a path and no locks."""
    (tmp_path / "secret.mp4").write_bytes(films.film(10))
    path = tmp_path / "film.mp4"
    path.write_text(script("secret.mp4"))
    with av.open(str(path)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 10


def test_a_reference_inside_an_mp4_to_a_film_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """The box that says where the pictures are (`dref`) is made to name an address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/film.mp4".encode() + b"\0"
        data = bytearray(films.film(20, options=(("movflags", "empty_moov+frag_keyframe"),)))
        at = data.index(b"url \0\0\0\1") - 4
        for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
            start = data.index(box) - 4
            grown = int.from_bytes(data[start : start + 4], "big") + len(address)
            data[start : start + 4] = grown.to_bytes(4, "big")
        data[at : at + 12] = (12 + len(address)).to_bytes(4, "big") + b"url \0\0\0\0" + address
        with pytest.raises(MediaError) as caught:
            extract(io.BytesIO(data), size_bytes=len(data))
        assert caught.value.code == "media.no_frames"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "film.m3u8"
    path.write_bytes(films.film(50))
    with path.open("rb") as file:
        assert extract(file, size_bytes=path.stat().st_size).facts.container == "mov"


def test_a_cover_beside_the_video_is_not_taken_for_it() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 112, 64, "yuv420p"
        film.add_attachment("cover.jpg", "image/jpeg", films.jpeg((640, 480)))
        for number in range(20):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(films.bars(number), format="rgb24")))
        film.mux(stream.encode())
    with av.open(io.BytesIO(out.getvalue())) as plain:
        assert len(plain.streams.video) == 2  # FFmpeg shows the cover as a video stream
    facts = facts_of(out.getvalue())
    assert (facts.width, facts.height, facts.codec) == (112, 64, "h264")
