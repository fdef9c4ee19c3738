"""A process of the fleet that also knows the trial's kinds.

    python -m tests.chaos.entry worker|dispatcher|beat ...     one process
    python -m tests.chaos.entry                                a nursery: forks one for every line it reads

Each process imports for two seconds of a core before it does anything. A trial starts dozens of them, so the nursery
imports once, opens nothing, and forks; what it forks is given to the harness, which is its subreaper.
"""

import ctypes
import faulthandler
import json
import os
import signal
import sys

from huntaze.cli.stack import guard
from huntaze.clients.payments import stripe_gateway
from huntaze.tasks.registry import handlers
from huntaze.worker import __main__ as door
from huntaze.worker import base, lifecycle
from tests.chaos import kinds, wrong_clock
from tests.chaos.nursery import TELL

IMPORTED_ONCE = (base, kinds, lifecycle, stripe_gateway)


def main() -> int:
    """Returns the process's exit code, or the nursery's when its input ends."""
    if len(sys.argv) > 1:
        return door.main()
    handlers()
    while line := sys.stdin.readline():
        order = json.loads(line)
        if _is_new_process():
            _move_in(order["log"])
            os.environ.update(order["environment"])
            wrong_clock.shift_as_told()
            return door.main(order["argv"])
    return 0


def _is_new_process() -> bool:
    """Forks twice, so that the process has the subreaper for its parent; once it has, its pid is told on stdout."""
    told, tell = os.pipe()
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        os.write(1, os.read(told, 32))
        os.close(told)
        os.close(tell)
        return False
    between = os.getpid()
    pid = os.fork()
    if pid:
        os.write(tell, f"{pid}\n".encode())
        os._exit(0)
    os.close(told)
    os.close(tell)
    os.setsid()
    while os.getppid() == between:
        os.sched_yield()
    ctypes.CDLL(None).prctl(guard.PR_SET_PDEATHSIG, signal.SIGKILL)  # with the harness, however that ends
    return True


def _move_in(log: str) -> None:
    for path, flags, target in ((os.devnull, os.O_RDONLY, 0), (log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, target)
        os.close(opened)
    os.dup2(1, 2)
    faulthandler.register(TELL, file=2)  # no Python of ours has to run for it: a process that hangs obeys, too
    # Python's own buffer holds what came after the line that was read: none of a child's business.
    sys.stdin = open(0)  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())
