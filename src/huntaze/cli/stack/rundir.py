"""The folder of one local stack (`.huntaze/`): a single instance at a time, its whereabouts, its data."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from huntaze.cli.stack import unprivileged
from huntaze.cli.stack.credentials import write_private
from huntaze.cli.stack.errors import AlreadyRunning, NotOurs

LEAVING_TIMEOUT_S = 6.0
"""Processes of a killed instance hold the lock until they have stopped, which takes up to 5 s."""

_LOCK, _RUN, _IGNORE = "lock", "run.json", ".gitignore"


class RunDir:
    """`with RunDir(path) as run:` holds the folder. Raises `AlreadyRunning` or `NotOurs` on entry."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.lock_fd = -1

    def __enter__(self) -> Self:
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / _LOCK).exists():
            raise NotOurs(f"{self.path} holds files, but no data of huntaze: choose another folder")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.lock_fd = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
        except AlreadyRunning:
            os.close(self.lock_fd)
            raise
        self.logs.mkdir(mode=0o700, exist_ok=True)
        (self.path / _IGNORE).write_text("*\n")
        self.publish({})
        return self

    def __exit__(self, *_: object) -> None:
        (self.path / _RUN).unlink(missing_ok=True)
        os.close(self.lock_fd)

    def publish(self, facts: Mapping[str, Any]) -> None:
        """Tell others where this instance is: `urls` (name -> URL), and any other JSON; kept with mode 0600."""
        write_private(self.path / _RUN, json.dumps({"pid": os.getpid(), **facts}, indent=2) + "\n")

    def reset(self) -> None:
        """Remove all data. Only to be called while the folder is held and before anything is started in it."""
        unprivileged.forget(self.path / "postgres")
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name not in (_LOCK, _RUN, _IGNORE):
                entry.unlink()
        self.logs.mkdir(mode=0o700)

    def _lock(self) -> None:
        deadline = time.monotonic() + LEAVING_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                facts = published(self.path)
                if _alive(facts.get("pid")) or time.monotonic() > deadline:
                    raise AlreadyRunning(self.path, facts) from None
                time.sleep(0.05)
            else:
                return


def published(path: Path) -> dict[str, Any]:
    """What the instance in the folder published; empty when there is none. It may have been killed since."""
    try:
        facts: dict[str, Any] = json.loads((path / _RUN).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return facts


def _alive(pid: int | None) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # killed, but not collected by its parent yet
