"""What PostgreSQL needs of us: a user that is not root, and a folder that a crash has left in any state."""

import asyncio
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from huntaze.cli.stack import postgres, unprivileged
from huntaze.cli.stack.credentials import Credentials
from huntaze.cli.stack.errors import CannotRunAsRoot, ServiceFailed
from huntaze.cli.stack.ports import HeldPort
from huntaze.cli.stack.postgres import Postgres
from huntaze.cli.stack.supervisor import Supervisor
from huntaze.cli.stack.unprivileged import Identity

CREDENTIALS = Credentials()

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")


def start_and_ask(home: Path, logs: Path, question: str) -> object:
    """Start a server in the folder, ask it, stop it."""

    async def scenario() -> object:
        async with Supervisor(logs) as supervisor:
            with HeldPort() as port:
                server = Postgres(home, port.number, CREDENTIALS, durable=False)
                await supervisor.start(server.service(logs))
                server.create_database()
                with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
                    row = connection.execute(question.encode()).fetchone()
                    return row and row[0]

    return asyncio.run(scenario())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that was stopped as it should be, where nobody else can reach it."""
    folder = tmp_path_factory.mktemp("stopped")
    folder.chmod(0o700)
    (folder / "logs").mkdir()
    assert start_and_ask(folder / "postgres", folder / "logs", "SELECT 1") == 1
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()
    return folder / "postgres"


@pytest.fixture
def home(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "postgres"))


def test_postmaster_pid_of_a_crash_does_not_stop_the_next_start(home: Path, logs: Path) -> None:
    pid_file = home / "data" / "postmaster.pid"
    # The number has gone to another process of the same user meanwhile: PostgreSQL itself would refuse.
    pid_file.write_text(f"{os.getpid()}\n{home / 'data'}\n1700000000\n1\n\n127.0.0.1\n0 0\nready\n")
    assert start_and_ask(home, logs, "SELECT 2") == 2


def test_server_that_really_runs_there_is_not_joined(home: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    monkeypatch.chdir(home / "data")
    monkeypatch.setattr(postgres, "LEAVING_TIMEOUT_S", 0.1)
    with pytest.raises(ServiceFailed, match=f"postgres is still running as process {os.getpid()}"):
        start_and_ask(home, logs, "SELECT 2")


def test_initdb_that_was_killed_is_done_again(tmp_path: Path, logs: Path) -> None:
    home = tmp_path / "postgres"
    draft = home / "data.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    (home / "initdb.password").write_text("left over")
    assert start_and_ask(home, logs, "SELECT 1") == 1
    assert sorted(entry.name for entry in home.iterdir()) == ["data"]
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700


def test_initdb_that_fails_says_why(tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless(home: Path) -> Identity:
        return replace(unprivileged.identity(home), bin=Path(__file__).parent / "nowhere", prefix=("env",))

    monkeypatch.setattr(postgres, "identity", nameless)
    with pytest.raises(ServiceFailed, match=r"postgres could not be set up: initdb ended with 127\.") as caught:
        start_and_ask(tmp_path / "postgres", logs, "SELECT 1")
    assert f"The whole log: {logs}/initdb.log" in str(caught.value)


@as_root
def test_root_needs_no_other_user_and_opens_no_folder(stopped: Path) -> None:
    assert unprivileged.identity(stopped).owner is None
    assert stat.S_IMODE(stopped.parent.stat().st_mode) == 0o700
    assert {entry.stat().st_uid for entry in stopped.rglob("*")} == {0}


@as_root
def test_root_without_user_namespaces_runs_a_copy_as_another_user(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "private" / "postgres"
    home.parent.mkdir(mode=0o700)
    monkeypatch.setattr(postgres, "identity", unprivileged.as_other_user)
    question = "SELECT pg_read_file('/proc/self/status')"
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            start_and_ask(home, logs, question)
        assert start_and_ask(home, logs, "SELECT 1") == 1
        data = unprivileged.outside(home) / "data" / "data"
        assert data.stat().st_uid == unprivileged.as_other_user(home).owner[0] != 0  # type: ignore[index]
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    finally:
        unprivileged.forget(home)
    assert not unprivileged.outside(home).exists()


@as_root
def test_place_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    place = unprivileged.outside(tmp_path)
    place.mkdir()
    os.chown(place, 65534, 65534)
    try:
        with pytest.raises(CannotRunAsRoot, match=f"{place} belongs to somebody else"):
            unprivileged.as_other_user(tmp_path)
    finally:
        place.rmdir()


def test_where_user_namespaces_are_refused_nothing_else_is_tried_as_a_nameless_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(unprivileged, "user_namespaces_work", lambda: False)
    with pytest.raises(CannotRunAsRoot, match="HUNTAZE_DATABASE_URL"):
        unprivileged.identity(tmp_path)
