"""Where the processes of the fleet come from, and how the harness knows what became of them."""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huntaze.cli.stack.guard import PR_SET_CHILD_SUBREAPER
from tests.chaos import wrong_clock

ROOT = Path(__file__).resolve().parents[2]
_BIRTH_S = 120.0
TELL = signal.SIGRTMIN + 5  # has a process write the stacks of its threads into its log; nobody else uses it


@dataclass
class Child:
    """A process of the fleet, first of its own process group. `status`: its exit status once it has ended, -n for
    signal n."""

    pid: int
    status: int | None = None

    def ended(self) -> bool:
        if self.status is None:
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(code) if pid else None
        return self.status is not None

    def send(self, number: signal.Signals) -> None:
        if not self.ended():
            os.kill(self.pid, number)

    def send_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


class Nursery:
    """Starts processes in a few milliseconds. Makes the calling process the parent of all orphans below it."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment, self._logs = environment, logs
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        log = (logs / "nursery.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.entry"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def start(self, name: str, argv: tuple[str, ...], skew_s: int) -> Child:
        """Raises RuntimeError if the nursery is gone, or hangs."""
        environment = {**self._environment, wrong_clock.SKEW: str(skew_s)}
        order = {"argv": argv, "log": str(self.log(name)), "environment": environment}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        came, _, _ = select.select([self._process.stdout], [], [], _BIRTH_S)
        pid = self._process.stdout.readline() if came else b""
        if not pid:
            raise RuntimeError(f"no process could be started: see {self._logs / 'nursery.log'}")
        return Child(int(pid))

    def log(self, name: str) -> Path:
        """What the process of this name says."""
        return self._logs / f"{name}.log"

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()
