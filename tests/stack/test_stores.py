"""PostgreSQL, Valkey and S3 as they are embedded, each spoken to by its own client."""

import hmac
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import boto3
import httpx
import psycopg
import pytest
import redis
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from huntaze.cli.stack import guard, s3_gate
from huntaze.cli.stack.ports import HeldPort, is_free
from huntaze.cli.stack.stores import S3Access, Stores, embedded_stores
from tests.stack.conditions import alive, listening, marked, wait_until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores") / "data"


@pytest.fixture(scope="module")
def stores(data_dir: Path) -> Iterator[Stores]:
    with embedded_stores(data_dir) as stores:
        yield stores


def libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def s3_client(access: S3Access, **changed: str):  # type: ignore[no-untyped-def]  # boto3 has no types
    keys = {"aws_access_key_id": access.access_key, "aws_secret_access_key": access.secret_key} | changed
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=access.endpoint_url, region_name=access.region, config=config, **keys)


def presigned(access: S3Access, path: str, at: datetime, expires_s: int) -> str:
    """A GET signed at any time, which boto3 cannot do (AWS: "Authenticating Requests: Using Query Parameters")."""
    host, stamp = urlsplit(access.endpoint_url).netloc, at.strftime("%Y%m%dT%H%M%SZ")
    scope = (stamp[:8], access.region, "s3", "aws4_request")
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "/".join((access.access_key, *scope)),
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    request = f"GET\n{path}\n{urlencode(fields)}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, "/".join(scope), sha256(request.encode()).hexdigest()))
    key = b"AWS4" + access.secret_key.encode()
    for part in (*scope, text):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{access.endpoint_url}{path}?{urlencode(fields)}&X-Amz-Signature={key.hex()}"


def ports(stores: Stores) -> list[int]:
    urls = (stores.database_url, stores.redis_url, stores.s3.endpoint_url)
    return [port for url in urls if (port := urlsplit(url).port)]


def test_postgres_speaks_utf8_and_utc_as_an_ordinary_role(stores: Stores) -> None:
    with psycopg.connect(libpq(stores.database_url), autocommit=True) as connection:
        row = connection.execute("SELECT current_user, current_database(), version(), upper('strasse é')").fetchone()
        assert row is not None
        assert row[:2] == ("huntaze", "huntaze")
        assert row[2].startswith("PostgreSQL 18.")
        assert row[3] == "STRASSE É"
        settings = {}
        for name in ("server_encoding", "TimeZone", "is_superuser", "fsync", "max_connections"):
            settings[name] = connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]  # type: ignore[index]
        assert settings == {
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "is_superuser": "off",
            "fsync": "off",
            "max_connections": "100",
        }
        connection.execute("CREATE DATABASE another")
        connection.execute("DROP DATABASE another")


def test_postgres_refuses_a_wrong_password(stores: Stores) -> None:
    assert stores.postgres is not None
    wrong = libpq(stores.database_url).replace(stores.postgres.credentials.postgres_password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_valkey_answers_with_the_password_only_and_never_evicts(stores: Stores) -> None:
    with redis.Redis.from_url(stores.redis_url) as client:
        assert client.set("key", "value")
        assert client.get("key") == b"value"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "no"}
    host, port = urlsplit(stores.redis_url).hostname, urlsplit(stores.redis_url).port
    once = Retry(NoBackoff(), retries=0)
    with (
        redis.Redis(host=str(host), port=int(port or 0), retry=once) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_s3_serves_what_was_put_and_parts_of_it(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="videos")
    client.put_object(Bucket="videos", Key="a/clip.mp4", Body=b"0123456789")
    answer = client.get_object(Bucket="videos", Key="a/clip.mp4", Range="bytes=2-4")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["Body"].read() == b"234"


def test_s3_refuses_forged_and_expired_urls(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="private")
    put = client.generate_presigned_url("put_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    assert httpx.put(put, content=b"secret").status_code == 200
    get = client.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    assert httpx.get(get).content == b"secret"

    other_key = urlunsplit(urlsplit(get)._replace(path="/private/another"))
    forger = s3_client(stores.s3, aws_secret_access_key="guessed")
    forged = forger.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "mine"}, ExpiresIn=60)
    now = datetime.now(UTC)
    assert httpx.get(presigned(stores.s3, "/private/mine", now - timedelta(seconds=50), 60)).content == b"secret"
    expired = presigned(stores.s3, "/private/mine", now - timedelta(seconds=70), 60)
    unsigned = urlunsplit(urlsplit(get)._replace(query=""))
    for url in (other_key, get[:-4] + "beef", forged, expired, unsigned):
        assert httpx.get(url).status_code == 403, url
    assert httpx.put(urlunsplit(urlsplit(put)._replace(path="/private/another")), content=b"x").status_code == 403


def test_s3_hears_nobody_who_does_not_sign(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="kept")
    for method, path in (
        ("POST", "/_ministack/reset"),
        ("POST", "//_ministack/reset"),
        ("POST", "/%5fministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/ready"),
        ("GET", "/"),
        ("GET", "/kept"),
        ("PUT", "/another"),
        ("DELETE", "/kept"),
    ):
        assert httpx.request(method, stores.s3.endpoint_url + path).status_code == 403, (method, path)
    for wrong, code in (
        ("aws_secret_access_key", "SignatureDoesNotMatch"),
        ("aws_access_key_id", "InvalidAccessKeyId"),
    ):
        stranger = s3_client(stores.s3, **{wrong: "guessed"})
        for call in (
            stranger.list_buckets,
            lambda stranger=stranger: stranger.put_object(Bucket="kept", Key="k", Body=b"forged"),
            lambda stranger=stranger: stranger.delete_bucket(Bucket="kept"),
        ):
            with pytest.raises(ClientError, match=code):
                call()
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=nobody"}
    assert httpx.post(f"{stores.s3.endpoint_url}/_ministack/reset", headers=signed).status_code == 403
    assert "kept" in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_s3_takes_every_way_that_a_client_signs(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="shapes")
    key = "dir/a b+c=d&é~(1)'*!.mp4"
    client.put_object(Bucket="shapes", Key=key, Body=b"x", Metadata={"note": "two  blanks"}, ContentType="video/mp4")
    assert client.head_object(Bucket="shapes", Key=key)["ContentType"] == "video/mp4"
    listed = client.list_objects_v2(Bucket="shapes", Prefix="dir/a b+", Delimiter="", StartAfter="a", MaxKeys=5)
    assert [entry["Key"] for entry in listed["Contents"]] == [key]
    upload = client.create_multipart_upload(Bucket="shapes", Key=key)["UploadId"]
    part = client.upload_part(Bucket="shapes", Key=key, UploadId=upload, PartNumber=1, Body=b"y")
    done = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    client.complete_multipart_upload(Bucket="shapes", Key=key, UploadId=upload, MultipartUpload=done)
    assert client.get_object(Bucket="shapes", Key=key)["Body"].read() == b"y"
    client.copy_object(Bucket="shapes", Key="copy", CopySource={"Bucket": "shapes", "Key": key})
    client.delete_objects(Bucket="shapes", Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert client.list_objects_v2(Bucket="shapes")["KeyCount"] == 0


def test_s3_refuses_a_request_signed_long_ago() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    request = AWSRequest("GET", "http://127.0.0.1:4566/kept?list-type=2&prefix=a%20b")
    S3SigV4Auth(BotoCredentials("key", "secret"), "s3", "us-east-1").add_auth(request)
    stamp = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    scope = {
        "method": "GET",
        "path": "/kept",
        "raw_path": b"/kept",
        "query_string": b"list-type=2&prefix=a%20b",
        "headers": [*headers, (b"host", b"127.0.0.1:4566")],
    }
    assert s3_gate.refusal(scope, "key", "secret", stamp + timedelta(minutes=14)) is None
    assert s3_gate.refusal(scope, "key", "secret", stamp + timedelta(minutes=16)) == "RequestTimeTooSkewed"
    assert s3_gate.refusal(scope, "key", "secret", at) == "RequestTimeTooSkewed"
    assert s3_gate.refusal(scope | {"path": "/_ministack/reset"}, "key", "secret", stamp) == "AccessDenied"
    assert s3_gate.refusal(scope | {"raw_path": b"/other"}, "key", "secret", stamp) == "SignatureDoesNotMatch"


def test_s3_answers_the_preflight_of_a_browser(stores: Stores) -> None:
    client = s3_client(stores.s3)
    client.create_bucket(Bucket="uploads")
    rule = {"AllowedOrigins": ["http://localhost:3000"], "AllowedMethods": ["PUT"], "AllowedHeaders": ["*"]}
    client.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": [rule]})
    asks = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"}
    answer = httpx.options(f"{stores.s3.endpoint_url}/uploads/clip.mp4", headers=asks)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_all_listen_on_the_loopback_interface_and_nowhere_else(stores: Stores) -> None:
    for port in ports(stores):
        assert listening(port) == ["127.0.0.1"]
    for port_that_ministack_opens_by_default in (2222, 8883):
        assert listening(port_that_ministack_opens_by_default) == []


def test_secrets_are_for_the_owner_alone(stores: Stores, data_dir: Path) -> None:
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    for name in ("credentials.json", "run.json", "lock", "valkey/valkey.conf", "logs/postgres.log"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600, name
    assert stores.postgres is not None
    credentials = stores.postgres.credentials
    secrets = (credentials.postgres_password, credentials.valkey_password, credentials.s3_secret_key)
    assert not any(secret in repr(stores.postgres) for secret in secrets)
    for pid in guard.descendants(1):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        assert not any(secret in command for secret in secrets)


def test_several_run_side_by_side_and_only_what_is_asked_for(tmp_path: Path, stores: Stores) -> None:
    with embedded_stores(tmp_path / "other", postgres=False, s3=False) as other:
        assert other.redis_url != stores.redis_url
        with redis.Redis.from_url(other.redis_url) as client:
            assert client.ping()
        with pytest.raises(LookupError, match="postgres is not embedded here"):
            _ = other.database_url
    assert not (tmp_path / "other" / "postgres").exists()


def test_data_survives_a_stop_and_a_kill_9(
    tmp_path: Path, supervise: Callable[..., subprocess.Popen[str]], mark: str
) -> None:
    data = tmp_path / "data"
    with embedded_stores(data, valkey=False) as stores:
        with psycopg.connect(libpq(stores.database_url)) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        s3_client(stores.s3).create_bucket(Bucket="kept")
        s3_client(stores.s3).put_object(Bucket="kept", Key="one", Body=b"1")
        before = stores.postgres and stores.postgres.credentials
    assert all(is_free(port) for port in (stores.postgres.port, stores.s3_server.port))  # type: ignore[union-attr]

    supervisor = supervise(data, "stores")
    assert supervisor.stdout is not None
    url = libpq(supervisor.stdout.readline().strip())
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
        connection.execute("INSERT INTO kept VALUES (2)")
    below = list(guard.descendants(supervisor.pid))
    assert len(below) > 6  # three guards, three servers and what PostgreSQL forks
    supervisor.kill()
    wait_until(lambda: not alive(supervisor.pid))
    # At once: the folder is not free before the last process of the killed one has gone.
    with embedded_stores(data, valkey=False) as stores:
        assert not any(alive(pid) for pid in below)
        assert stores.postgres
        assert stores.postgres.credentials == before
        with psycopg.connect(libpq(stores.database_url)) as connection:
            assert connection.execute("SELECT n FROM kept ORDER BY n").fetchall() == [(1,), (2,)]
        assert s3_client(stores.s3).get_object(Bucket="kept", Key="one")["Body"].read() == b"1"
    wait_until(lambda: marked(mark) == [])


def test_port_that_somebody_takes_meanwhile_is_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        asked_for: list[int | None] = []
        bind = HeldPort.__init__

        def held_too_late(self: HeldPort, preferred: int | None = None) -> None:
            bind(self, preferred)
            if not asked_for:
                self.release()
                self.number = number
            asked_for.append(preferred)

        monkeypatch.setattr(HeldPort, "__init__", held_too_late)
        with embedded_stores(tmp_path / "data", postgres=False, s3=False) as stores:
            assert len(asked_for) == 2
            assert urlsplit(stores.redis_url).port != number
