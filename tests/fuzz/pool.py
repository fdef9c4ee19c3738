"""Children that look at files, each with its own deadline: one that hangs or dies is noted and replaced."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HANG_S = 10.0
_STUCK_S = 120.0  # without having used its ten seconds: it waits for something, or the machine is very busy
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Looked:
    """outcome: what the child said; "! hang" or "! SIGSEGV" and the like where it did not. wall_s, cpu_s: what it took.
    rss_mb: what the child held afterwards, 0 where it is gone."""

    outcome: str
    wall_s: float
    cpu_s: float
    rss_mb: int

    @property
    def bad(self) -> bool:
        return self.outcome.startswith("!")


class Child:
    """One process at a time. Use it in a `with`."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._end(self._process)

    def look(self, path: Path) -> Looked:
        """Hand over one file and wait for what it gives."""
        process = self._running()
        begun, cpu_begun = time.monotonic(), _cpu_s(process.pid)
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # it is dead already: what it does not say tells
            process.stdin.write(f"{path}\n".encode())
            process.stdin.flush()
        while not select.select([process.stdout], [], [], 0.5)[0]:
            wall_s, cpu_s = time.monotonic() - begun, _cpu_s(process.pid) - cpu_begun
            if cpu_s > HANG_S or wall_s > _STUCK_S:
                process.send_signal(signal.SIGABRT)  # faulthandler writes where it was
                self._end(process)
                return Looked("! hang", wall_s, cpu_s, 0)
        line, wall_s = process.stdout.readline(), time.monotonic() - begun
        if not line:
            self._end(process)
            return Looked(f"! {_death(process.returncode)}", wall_s, 0.0, 0)
        said = json.loads(line)
        return Looked(said["outcome"], wall_s, said["cpu_s"], said["rss_mb"])

    def kill(self, number: signal.Signals) -> None:
        """End the process as a crash does."""
        self._running().send_signal(number)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                cwd=Path(__file__).resolve().parents[2],
            )
        return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _death(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit {returncode}"


def _cpu_s(pid: int) -> float:
    """Processor seconds that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
