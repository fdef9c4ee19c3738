"""The command as a person types it, in this process or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from huntaze.cli.main import build_app

HUNTAZE = str(Path(sys.executable).with_name("huntaze"))
Run = Callable[..., Result]
Spawn = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("jobs", "list")`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("HUNTAZE_API_URL", "HUNTAZE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(build_app(arguments[0]), [str(one) for one in arguments])


@pytest.fixture
def spawn(tmp_path: Path) -> Spawn:
    """`spawn("db", "status", HUNTAZE_DATABASE_URL=...)`: a process of its own, with these variables alone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUNTAZE_")}

    def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**clean, **variables}
        return subprocess.run(
            [HUNTAZE, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return start
