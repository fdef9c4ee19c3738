"""What can go wrong with the local stack. Each message is meant to be printed as it is, without a traceback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG_TAIL_LINES = 15


class StackError(Exception):
    """The local stack cannot start or go on; the text says why and what to do."""


class NotInstalled(StackError):
    """A package of the `local` extra is missing."""


class CannotRunAsRoot(StackError):
    """PostgreSQL needs an ordinary user, and neither a user namespace nor another user can be had here."""


class NotOurs(StackError):
    """The folder holds something else; it is neither used nor removed."""


class AlreadyRunning(StackError):
    """Another instance holds the folder. `facts` is what it published: its `pid`, and its `urls` once it has any."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        urls = "".join(f"\n  {name}: {url}" for name, url in facts.get("urls", {}).items())
        where = f":{urls}" if urls else "; it is still starting."
        super().__init__(f"One is already running in {path} (process {facts.get('pid', 'unknown')}){where}")


class ServiceFailed(StackError):
    """A service did not come up, or ended by itself. The text holds its name, the end of its log and the log's path."""

    def __init__(self, name: str, reason: str, log_path: Path) -> None:
        self.name = name
        self.reason = reason
        self.log_path = log_path
        self.log_tail = log_tail(log_path)
        indented = "".join(f"  | {line}\n" for line in self.log_tail) or "  | (the log is empty)\n"
        super().__init__(f"{name} {reason}. The end of its log:\n{indented}The whole log: {log_path}")


def log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log, without reading all of it; empty when there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 64 * 1024))
            return tuple(log.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ()
