"""What processes cost, from /proc: nanoseconds on a core, not the 10 ms ticks of `ps`."""

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine, text

_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Core seconds that a process and all below it have had so far, threads included."""
    return sum(_one(each) for each in tree(pid))


def cpu_with_ended(pid: int) -> float:
    """As `cpu_seconds`, and what those below it had that have ended meanwhile, by ticks."""
    ticks = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return cpu_seconds(pid) + (int(ticks[13]) + int(ticks[14])) / os.sysconf("SC_CLK_TCK")


def postmaster(engine: Engine) -> int:
    """The process above a database's backends."""
    with engine.connect() as connection:
        backend = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    return int((_PROC / str(backend) / "stat").read_text().rpartition(")")[2].split()[1])


def _one(pid: int) -> float:
    nanoseconds = 0
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        ticks = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # Kernels without scheduler statistics have ticks; those of threads that have ended are in there too.
    return nanoseconds / 1e9 if nanoseconds else (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def cpu_by_process(pids: dict[str, int]) -> dict[str, float]:
    """Core seconds so far, by name."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}
