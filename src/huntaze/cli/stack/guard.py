"""Stands between the supervisor and one service, and sees to it that nothing of the service is left behind.

    python -I -S guard.py STOP_SIGNAL STOP_TIMEOUT_S -- COMMAND ...

Run by path and on the standard library alone, so that it starts in some 20 ms.

Its stdin is the lifeline: a byte asks for a stop, end of file means that the supervisor is gone, even by `kill -9`.
PR_SET_PDEATHSIG alone would not do: it reaches the direct child only, not a prefork pool, and it is tied to the
thread that forked. So the guard is also the *subreaper* of the service: whatever the service forks, in whatever
session, is or becomes a child of the guard, and the guard leaves only when it has no child left.
"""

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

ORPHANED_TIMEOUT_S = 2.0
"""The longest that a service may take once the supervisor is gone; what is promised is nothing left after 5 s."""

_HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run COMMAND until it ends or is to stop; return its exit status, 128 + n when signal n ended it."""
    stop_signal, stop_timeout_s, command = int(arguments[0]), float(arguments[1]), arguments[3:]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup = _wake_up_on_signals()
    child = _spawn(command)
    status = _watch(child, wakeup, stop_signal, stop_timeout_s)
    kill_descendants(os.getpid())
    return status


def descendants(ancestor: int) -> Iterator[int]:
    """Every process below `ancestor`, parents first. What starts meanwhile may be missed: ask again."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib would cost half of the start
        if entry.isdigit() and (parent := _parent_of(entry)) is not None:
            children.setdefault(parent, []).append(int(entry))
    unseen = [ancestor]
    while unseen:
        found = children.get(unseen.pop(), [])
        yield from found
        unseen.extend(found)


def kill_descendants(ancestor: int) -> None:
    """SIGKILL all that is below this process, until it has no child: orphans of orphans arrive here one by one."""
    while True:
        for pid in list(descendants(ancestor)):
            _kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _watch(child: int, wakeup: int, stop_signal: int, stop_timeout_s: float) -> int:
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(wakeup, select.POLLIN)
    deadline: float | None = None
    while True:
        if (status := _reap(child)) is not None:
            return status
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            _say(f"still there {stop_timeout_s:g} s after {signal.Signals(stop_signal).name}: killed")
            return 128 + signal.SIGKILL
        ready = {fd for fd, _ in poller.poll(None if left_s is None else left_s * 1000 + 1)}
        asked = wakeup in ready and signal.SIGTERM in os.read(wakeup, 512)
        if 0 in ready:
            poller.unregister(0)
            if not os.read(0, 1):
                stop_timeout_s = min(stop_timeout_s, ORPHANED_TIMEOUT_S)
                _say("the supervisor is gone: stopping")
            asked = True
        if asked and deadline is None:
            deadline = time.monotonic() + stop_timeout_s
            _kill(child, stop_signal)


def _spawn(command: list[str]) -> int:
    guard = os.getpid()
    # Until exec the child has the guard's handlers: a stop signal that came in between would be swallowed.
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    child = os.fork()  # safe: this process has a single thread
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        return child
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _close_all_but_standard()
        for number in (*_HANDLED, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores the last two
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        # For the case that the guard itself is killed.
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:
            os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        _say(f"cannot run {command[0]}: {error.strerror}")
    os._exit(127)


def _close_all_but_standard() -> None:
    # Above all the lock of the data folder: the guard is to hold it, and nobody that might outlive the guard.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2:
            with suppress(OSError):
                os.close(int(name))


def _wake_up_on_signals() -> int:
    """A descriptor that becomes readable on a signal; its bytes are the signals' numbers."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in _HANDLED:
        signal.signal(number, lambda *_: None)
    return readable


def _reap(child: int) -> int | None:
    """Collect what has ended, adopted orphans included; the exit status of `child` if it is among them."""
    status: int | None = None
    try:
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return status
            if pid == child:
                exit_code = os.waitstatus_to_exitcode(code)
                status = exit_code if exit_code >= 0 else 128 - exit_code
    except ChildProcessError:
        return status


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            # The second field is the program's name in brackets and may itself hold brackets and blanks.
            return int(stat.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def _say(message: str) -> None:
    os.write(2, f"[guard] {message}\n".encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
