"""What the supervisor is told about a service."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

Probe = Callable[[], Awaitable[bool]]
"""True once the service does its work. "Not yet" is False, never an exception, which would end the start."""


class Stage(IntEnum):
    """Services stop from the highest stage down, a stage at a time, so that nobody loses what it stands on."""

    STORES = 0
    """valkey, s3, postgres."""
    WORK = 1
    """dispatcher, worker: they put back what they hold, and need the stores for it."""
    DOORS = 2
    """api, flower, beat: first of all no new work comes in."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process to keep running. `env` is its whole environment, not an addition to ours.

    `stop_timeout_s` counts from the stop signal to SIGKILL for it and all it forked. The longest of each stage add up
    to the time that Ctrl-C takes, which is promised to be under 10 s.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Probe
    stage: Stage
    cwd: Path | None = None
    ready_timeout_s: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 2.0
