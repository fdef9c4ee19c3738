"""Services made of small real programs."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from huntaze.cli.stack.service import Service, Stage
from huntaze.cli.stack.stores import Stores, embedded_stores

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def mark() -> str:
    """A word for the environment of what a test starts, to find all of it again."""
    return secrets.token_hex(8)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def service(tmp_path: Path, mark: str) -> Callable[..., Service]:
    """`service(name, program_or_code, *arguments, ready=...)`: a Python program as a service."""

    async def at_once() -> bool:
        return True

    def make(name: str, program: str, *arguments: object, **changes: object) -> Service:
        path = PROGRAMS / program
        how = (str(path),) if program.endswith(".py") else ("-c", program)
        settings = {"ready": at_once, "stage": Stage.WORK, "env": {"MARK": mark}, "cwd": tmp_path} | changes
        argv = (sys.executable, "-I", "-S", *how, *map(str, arguments))
        return Service(name=name, argv=argv, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def supervise(mark: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`supervise(*arguments)`: `programs/supervise.py` as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAMS / "supervise.py"), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"MARK": mark}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores") / "data"


@pytest.fixture(scope="session")
def stores(data_dir: Path) -> Iterator[Stores]:
    with embedded_stores(data_dir) as stores:
        yield stores
