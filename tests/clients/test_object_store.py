"""One behaviour for every object store: the in-memory twin and a server that speaks S3."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from huntaze.clients.object_store import MemoryObjectStore, NoSuchObject, ObjectStore, StorageAway
from huntaze.clients.s3 import S3ObjectStore
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.setting_groups import S3Settings
from huntaze.settings import Settings


@pytest.fixture(params=["memory", "s3", "s3, asked once"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryObjectStore()
        return
    several: S3ObjectStore = request.getfixturevalue("objects")
    if request.param == "s3":
        yield several
        return
    once = S3ObjectStore(request.getfixturevalue("settings").s3, attempts=1)
    yield once
    once.close()


BODY = bytes(range(256)) * 40


def test_what_was_put_is_there(store: ObjectStore) -> None:
    put = store.put("a/b.bin", BODY, "video/mp4")
    assert store.head("a/b.bin") == put
    odd = store.put("a/ü ~+&=%20?#.bin", BODY, "video/quicktime")
    assert store.head(odd.key) == odd
    assert (put.size, put.content_type) == (len(BODY), "video/mp4")
    assert store.read("a/b.bin") == BODY


def test_the_short_way_to_a_head_takes_any_key(objects: S3ObjectStore, settings: Settings) -> None:
    odd = objects.put("a/ü ~+&=%20?#.bin", BODY, "video/quicktime")
    once = S3ObjectStore(settings.s3, attempts=1)
    assert once._plain_head(odd.key) == odd, "without the client's help"
    once.close()


@pytest.mark.parametrize(("start", "end"), [(0, 1), (100, 300), (10_000, 10_240), (10_200, 99_999), (5, 5)])
def test_ranges_are_half_open_and_end_with_the_object(store: ObjectStore, start: int, end: int) -> None:
    etag = store.put("a/ranges.bin", BODY, "video/mp4").etag
    assert store.read_range("a/ranges.bin", start, end, etag=etag) == BODY[start:end]


def test_a_missing_object_is_told_by_name(store: ObjectStore) -> None:
    for ask in (store.head, store.read, lambda key: store.read_range(key, 0, 1)):
        with pytest.raises(NoSuchObject, match="a/nothing"):
            ask("a/nothing")


def test_an_object_that_changes_while_it_is_read_is_noticed(store: ObjectStore) -> None:
    etag = store.put("a/changing.bin", BODY, "video/mp4").etag
    assert store.put("a/changing.bin", BODY + b"!", "video/mp4").etag != etag
    with pytest.raises(Transient, match=r"storage\.changed"):
        store.read_range("a/changing.bin", 0, 10, etag=etag)


def test_a_stream_is_the_whole_object_in_chunks(store: ObjectStore) -> None:
    body = BODY * 250  # over two megabytes
    etag = store.put("a/stream.bin", body, "video/mp4").etag
    chunks = list(store.stream("a/stream.bin", etag=etag))
    assert b"".join(chunks) == body
    assert len(chunks) == 3
    store.put("a/stream.bin", BODY, "video/mp4")
    with pytest.raises(Transient, match=r"storage\.changed"):
        list(store.stream("a/stream.bin", etag=etag))
    with pytest.raises(NoSuchObject, match="a/nothing"):
        list(store.stream("a/nothing"))


def test_ranges_are_read_by_many_threads_at_once(store: ObjectStore) -> None:
    etag = store.put("a/ranges.bin", BODY, "video/mp4").etag
    with ThreadPoolExecutor(8) as pool:
        parts = list(
            pool.map(lambda at: store.read_range("a/ranges.bin", at, at + 512, etag=etag), range(0, 10_240, 512))
        )
    assert b"".join(parts) == BODY


def test_the_store_says_that_it_is_usable(store: ObjectStore) -> None:
    store.check()


def test_a_presigned_upload_takes_exactly_what_was_promised(objects: S3ObjectStore) -> None:
    url = objects.presign_put("up/load.mp4", 5, "video/mp4", 60)
    assert httpx.put(url, content=b"123456", headers={"Content-Type": "video/mp4"}).status_code == 403
    assert httpx.put(url, content=b"12345", headers={"Content-Type": "text/html"}).status_code == 403
    assert httpx.put(url.replace("load", "lead"), content=b"12345").status_code == 403
    assert httpx.put(url, content=b"12345", headers={"Content-Type": "video/mp4"}).status_code == 200
    assert objects.read("up/load.mp4") == b"12345"


def test_a_presigned_download_ends(objects: S3ObjectStore) -> None:
    objects.put("down/load.bin", b"x", "video/mp4")
    assert httpx.get(objects.presign_get("down/load.bin", 60)).content == b"x"
    url = objects.presign_get("down/load.bin", 60)
    old = url.replace("X-Amz-Date=20", "X-Amz-Date=19")
    assert httpx.get(old).status_code == 403


def other(settings: Settings, **changes: object) -> S3ObjectStore:
    return S3ObjectStore(S3Settings.model_construct(**{**settings.s3.model_dump(), **changes}))


def test_a_missing_bucket_a_wrong_key_and_a_dead_server_are_told_apart(
    settings: Settings, objects: S3ObjectStore
) -> None:
    with pytest.raises(Permanent, match=r"storage\.no_bucket"):
        other(settings, bucket="nobodys-bucket").check()
    with pytest.raises(Permanent, match=r"storage\.denied"):
        other(settings, access_key_id="WRONG").check()
    with pytest.raises(StorageAway):
        other(settings, endpoint_url="http://127.0.0.1:9").head("x")


def test_how_long_and_how_often_a_silent_server_is_asked(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        s3 = settings.s3.model_copy(update={"endpoint_url": f"http://127.0.0.1:{server.getsockname()[1]}"})
        for attempts in (1, 2):
            store = S3ObjectStore(s3, read_timeout_s=0.2, attempts=attempts)
            begun = time.monotonic()
            with pytest.raises(StorageAway):
                store.head("x")
            assert time.monotonic() - begun < 5
            store.close()
            server.settimeout(0.2)
            for _ in range(attempts):
                server.accept()[0].close()
            with pytest.raises(TimeoutError):
                server.accept()


def test_nothing_is_signed_without_credentials(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    store = other(settings, access_key_id=None, secret_access_key=None)
    with pytest.raises(StorageAway):
        store.presign_get("a", 60)
    with pytest.raises(StorageAway):
        store.presign_put("a", 1, "video/mp4", 60)
