"""Starts services, watches them, and stops them in stages.

Each service runs below a guard (`guard.py`) in a session of its own, so that Ctrl-C reaches the supervisor alone and
nothing of a service outlives it. The supervisor belongs to one event loop; it opens nothing before `start`.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from huntaze.cli.stack import guard
from huntaze.cli.stack.errors import ServiceFailed
from huntaze.cli.stack.service import Service

T = TypeVar("T")

_GUARD = (sys.executable, "-I", "-S", guard.__file__)
PROBE_INTERVAL_S = 0.03
PROBE_TIMEOUT_S = 2.0
BACKSTOP_S = 1.0
"""How long after a service's stop timeout its guard may still be there before the supervisor kills by itself."""


@dataclass(frozen=True)
class _Running:
    service: Service
    guard: subprocess.Popen[bytes]
    log_path: Path
    exited: asyncio.Future[int]


class Supervisor:
    """`async with Supervisor(log_dir) as supervisor: await supervisor.start(...)`; leaving it stops all.

    `lock_fd` is handed on to the guards: a lock on it is free only when the last process of the stack has gone.
    """

    def __init__(self, log_dir: Path, *, lock_fd: int | None = None) -> None:
        self._log_dir = log_dir
        self._lock_fd = lock_fd
        self._running: dict[str, _Running] = {}
        self._stopping = False
        self._failed: asyncio.Future[ServiceFailed] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *services: Service) -> None:
        """Start all of them at once and return when every one is ready.

        Raises `ServiceFailed` for the first that ends or is not ready in time; what runs by then stays until `stop`.
        """
        self._failed = self._failed or asyncio.get_running_loop().create_future()
        launched = [self._launch(service) for service in services]
        await all_or_first_error(*(self._until_ready(running) for running in launched))

    async def failure(self) -> ServiceFailed:
        """Wait for a started service to end by itself; never returns while all is well. To be raced or cancelled."""
        self._failed = self._failed or asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._failed)

    def main_pid(self, name: str) -> int:
        """The service's own first process, not its guard. Raises `LookupError` when it is not there."""
        for pid in guard.descendants(self._running[name].guard.pid):
            return pid
        raise LookupError(f"{name} has no process")

    async def stop(self, *names: str) -> None:
        """Stop the named services, or all: stage by stage from the top, the services of a stage at the same time."""
        chosen = [r for r in self._running.values() if not names or r.service.name in names]
        self._stopping = self._stopping or not names
        for stage in sorted({r.service.stage for r in chosen}, reverse=True):
            await asyncio.gather(*(self._stop(r) for r in chosen if r.service.stage is stage))

    def _launch(self, service: Service) -> _Running:
        if self._stopping:
            raise RuntimeError("this supervisor has been stopped")
        if service.name in self._running:
            raise ValueError(f"a service called {service.name} is running already")
        log_path = self._log_dir / f"{service.name}.log"
        log = _open_log(log_path)
        try:
            process = subprocess.Popen(
                [*_GUARD, str(int(service.stop_signal)), str(service.stop_timeout_s), "--", *service.argv],
                env=dict(service.env),
                cwd=service.cwd,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=() if self._lock_fd is None else (self._lock_fd,),
            )
        finally:
            os.close(log)
        running = _Running(service, process, log_path, asyncio.get_running_loop().create_future())
        self._running[service.name] = running
        pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(pidfd, self._on_exit, running, pidfd)
        return running

    def _on_exit(self, running: _Running, pidfd: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        status = running.guard.wait()
        running.exited.set_result(status)
        deliberate = self._stopping or self._running.get(running.service.name) is not running
        if not deliberate and self._failed is not None and not self._failed.done():
            reason = f"ended by itself: {_describe(status)}"
            self._failed.set_result(ServiceFailed(running.service.name, reason, running.log_path))

    async def _until_ready(self, running: _Running) -> None:
        service = running.service
        deadline = asyncio.get_running_loop().time() + service.ready_timeout_s
        while not running.exited.done():
            answered = False
            with suppress(TimeoutError):
                answered = await asyncio.wait_for(service.ready(), PROBE_TIMEOUT_S)
            # The probe may have met somebody else on the port of a service that has just failed to bind it.
            if answered and not running.exited.done():
                return
            if asyncio.get_running_loop().time() > deadline:
                reason = f"was not ready within {service.ready_timeout_s:g} s"
                raise ServiceFailed(service.name, reason, running.log_path)
            await asyncio.wait({running.exited}, timeout=PROBE_INTERVAL_S)
        reason = f"ended before it was ready: {_describe(running.exited.result())}"
        raise ServiceFailed(service.name, reason, running.log_path)

    async def _stop(self, running: _Running) -> None:
        self._running.pop(running.service.name, None)
        assert running.guard.stdin is not None
        with suppress(BrokenPipeError):
            running.guard.stdin.write(b"s")
            running.guard.stdin.flush()
        with suppress(BrokenPipeError):
            running.guard.stdin.close()
        await asyncio.wait({running.exited}, timeout=running.service.stop_timeout_s + BACKSTOP_S)
        if not running.exited.done():
            for pid in [*guard.descendants(running.guard.pid), running.guard.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.wait({running.exited}, timeout=BACKSTOP_S)


async def all_or_first_error(*waits: Coroutine[Any, Any, T]) -> list[T]:
    """Like `asyncio.gather`, but on an error the others are cancelled and over before it is raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _open_log(path: Path) -> int:
    """A new log for its owner alone; the one before is kept as `NAME.log.1`."""
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _describe(status: int) -> str:
    if status < 0:
        return f"its guard was killed by {signal.Signals(-status).name}"
    if status > 128:
        with suppress(ValueError):
            return f"killed by {signal.Signals(status - 128).name}"
    return f"exit status {status}"
