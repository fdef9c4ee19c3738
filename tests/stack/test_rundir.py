"""One folder, one instance."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from huntaze.cli.stack.credentials import load_or_create
from huntaze.cli.stack.errors import AlreadyRunning, NotOurs
from huntaze.cli.stack.rundir import RunDir, published
from huntaze.cli.stack.stores import embedded_stores
from tests.stack.conditions import alive, marked, wait_until

PROGRAMS = Path(__file__).parent / "programs"


def test_second_instance_is_told_where_the_first_one_is(tmp_path: Path) -> None:
    folder = tmp_path / ".huntaze"
    with RunDir(folder) as run:
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}.*still starting"), RunDir(folder):
            pass
        run.publish({"urls": {"api": "http://127.0.0.1:8000", "flower": "http://127.0.0.1:5555"}, "password": "p"})
        asked_at = time.monotonic()
        with pytest.raises(AlreadyRunning) as caught, RunDir(folder):
            pass
        assert time.monotonic() - asked_at < 2
        assert str(caught.value) == (
            f"One is already running in {folder} (process {os.getpid()}):\n"
            "  api: http://127.0.0.1:8000\n  flower: http://127.0.0.1:5555"
        )
        assert "password" in caught.value.facts
        assert (folder / "run.json").stat().st_mode & 0o777 == 0o600
    assert published(folder) == {}
    with RunDir(folder):
        pass


def test_stores_hold_their_folder(tmp_path: Path) -> None:
    with (
        embedded_stores(tmp_path / "data", postgres=False, s3=False),
        pytest.raises(AlreadyRunning),
        embedded_stores(tmp_path / "data", postgres=False, s3=False),
    ):
        pass


def test_folder_of_a_killed_instance_is_free_when_its_last_process_has_gone(
    tmp_path: Path, supervise: Callable[..., subprocess.Popen[str]], mark: str
) -> None:
    folder, family = tmp_path / "data", tmp_path / "family"
    killed = supervise(folder, "ready", sys.executable, PROGRAMS / "stubborn_pool.py", family)
    wait_until(family.exists)
    with pytest.raises(AlreadyRunning, match=f"process {killed.pid}"), RunDir(folder):
        pass
    killed.kill()
    wait_until(lambda: not alive(killed.pid))  # not collected, as a shell may do it late
    assert published(folder)["pid"] == killed.pid
    assert marked(mark) != []
    with RunDir(folder):
        assert marked(mark) == []
        assert published(folder)["pid"] == os.getpid()


def test_reset_removes_the_data_and_keeps_the_hold(tmp_path: Path) -> None:
    folder = tmp_path / ".huntaze"
    with RunDir(folder) as run:
        before = load_or_create(folder)
        (folder / "postgres" / "data").mkdir(parents=True)
        (run.logs / "api.log").write_text("old")
        run.reset()
        assert sorted(entry.name for entry in folder.iterdir()) == [".gitignore", "lock", "logs", "run.json"]
        assert list(run.logs.iterdir()) == []
        assert load_or_create(folder) != before
        with pytest.raises(AlreadyRunning), RunDir(folder):
            pass


def test_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(NotOurs, match="holds files, but no data of huntaze"), RunDir(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_run_json_cut_short_by_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    with RunDir(tmp_path / "data"):
        pass
    (tmp_path / "data" / "run.json").write_text('{"pid": 1')
    assert published(tmp_path / "data") == {}
    with RunDir(tmp_path / "data"):
        pass


def test_git_does_not_see_the_folder(tmp_path: Path) -> None:
    with RunDir(tmp_path / "data") as run:
        assert (run.path / ".gitignore").read_text() == "*\n"
