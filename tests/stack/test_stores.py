"""PostgreSQL, Valkey and S3 as they are embedded, each spoken to by its own client."""

import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from huntaze.cli.stack import guard
from huntaze.cli.stack.ports import HeldPort, is_free
from huntaze.cli.stack.stores import Stores, embedded_stores
from tests.stack.conditions import alive, listening, marked, wait_until
from tests.stack.test_s3 import s3_client


def libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


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
