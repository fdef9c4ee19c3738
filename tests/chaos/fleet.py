"""The processes under test: each has a place; whoever dies is replaced, as systemd or ECS would do."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from huntaze.cli.stack.guard import descendants
from tests.chaos import wrong_clock
from tests.chaos.nursery import TELL, Child, Nursery

_WATCH_S = 0.1
_STACKS_S = 1.0  # for a process to write them down
_NO_CHILD = "Could not start worker processes"
# The clocks of most places are wrong by this, to either side of the database's.
SKEW_S = 60 if wrong_clock.POSSIBLE else 0


@dataclass
class Place:
    """Where one process belongs. `skew_s`: how wrong the clock is there. `expected`: the harness itself ends what is
    there now. `child_killed`: it has ended one of its children."""

    name: str
    role: str  # prefork, threads, dispatcher, beat
    argv: tuple[str, ...]
    skew_s: int
    process: Child | None = None
    started: int = 0
    restart_at: float = 0.0
    expected: bool = False
    child_killed: bool = False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.process.ended()


PLACES = (
    ("prefork-0", "prefork", ("worker", "--queues", "video,default", "--concurrency", "2"), 0),
    ("prefork-1", "prefork", ("worker", "--queues", "default,video", "--concurrency", "2"), SKEW_S),
    ("threads-0", "threads", ("worker", "--queues", "ai,default", "--concurrency", "6"), -SKEW_S),
    ("dispatcher-0", "dispatcher", ("dispatcher",), SKEW_S),
    ("dispatcher-1", "dispatcher", ("dispatcher",), -SKEW_S),
    ("beat-0", "beat", ("beat",), SKEW_S),
    ("beat-1", "beat", ("beat",), -SKEW_S),
)


@dataclass
class Fleet:
    """`ended`: processes that ended without being told to, as "place: exit status". `hung`: those that did not end when
    told to. `stop_timeout_s`: a node's grace, and what it takes to find out that a store is not there."""

    nursery: Nursery
    places: list[Place] = field(default_factory=lambda: [Place(*place) for place in PLACES])
    ended: Counter[str] = field(default_factory=Counter)
    hung: list[str] = field(default_factory=list)
    stop_timeout_s: float = 60.0
    stopping: bool = False
    _groups: set[int] = field(default_factory=set)
    _retiring: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self, place: Place) -> None:
        place.started += 1
        place.process = self.nursery.start(self._name(place), place.argv, place.skew_s)
        place.expected = place.child_killed = False
        self._groups.add(place.process.pid)

    async def keep(self) -> None:
        """Starts all, and whoever ended again, until they are stopped."""
        while not self.stopping:
            now = time.monotonic()
            for place in self.places:
                if place.alive:
                    continue
                if place.process is not None and place.restart_at < now and not self._explained(place):
                    self.ended[f"{place.name}: {place.process.status}"] += 1
                if place.restart_at <= now:
                    self.start(place)
            await asyncio.sleep(_WATCH_S)

    def _explained(self, place: Place) -> bool:
        """Celery gives a node up whose child dies before its loop began; who started it starts it again."""
        return place.expected or (place.child_killed and _NO_CHILD in self.nursery.log(self._name(place)).read_text())

    @staticmethod
    def _name(place: Place) -> str:
        return f"{place.name}.{place.started}"

    def of_role(self, *roles: str) -> list[Place]:
        return [place for place in self.places if place.role in roles and place.alive]

    def children(self, place: Place) -> list[int]:
        """The processes of a prefork node that run its jobs."""
        return list(descendants(place.pid))

    def kill(self, place: Place, back_in_s: float, *, group: bool) -> None:
        """kill -9: of the whole node, or of its main process alone, which leaves its children to themselves."""
        place.expected, place.restart_at = True, time.monotonic() + back_in_s
        assert place.process is not None
        (place.process.send_group if group else place.process.send)(signal.SIGKILL)

    def kill_child(self, pid: int) -> None:
        """kill -9 of one of a node's children."""
        for place in self.of_role("prefork"):
            place.child_killed |= pid in self.children(place)
        self.signal([pid], signal.SIGKILL)

    def retire(self, place: Place) -> None:
        """SIGTERM; a successor starts at once, as in a rolling deploy. One that does not go is noted, and killed."""
        old, place.process = place.process, None
        assert old is not None
        old.send(signal.SIGTERM)
        task = asyncio.create_task(self._see_off(self._name(place), old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _see_off(self, name: str, old: Child) -> None:
        until = time.monotonic() + self.stop_timeout_s
        while not old.ended():
            if time.monotonic() > until:
                told = f"{name}, process {old.pid}: still there {self.stop_timeout_s:g} s after SIGTERM"
                self.hung.append(f"{told}\n{await self._stacks(name, old.pid)}")
                old.send_group(signal.SIGKILL)
                return
            await asyncio.sleep(_WATCH_S)

    async def _stacks(self, name: str, group: int) -> str:
        """Where the threads of a process and of its children are; they stand in its log, too."""
        log = self.nursery.log(name)
        told = log.stat().st_size
        self.signal([pid for pid, of in _processes() if of == group], signal.SIGCONT)
        self.signal([pid for pid, of in _processes() if of == group], TELL)
        await asyncio.sleep(_STACKS_S)
        return log.read_bytes()[told:].decode(errors="replace")

    async def tell(self, why: str) -> None:
        """Notes where all processes are, for a trial that stands still."""
        for place in self.places:
            if place.alive:
                self.hung.append(f"{why}: {place.name}\n{await self._stacks(self._name(place), place.pid)}")

    async def stop(self) -> None:
        """All in good order. One that does not obey hangs, whatever it did until now: it is noted, and killed."""
        self.stopping = True
        for place in self.places:
            if place.alive:
                self.retire(place)
        while self._retiring:
            await asyncio.gather(*self._retiring)

    def signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def orphans(self) -> list[int]:
        """Processes of nodes that were killed: their main process is gone, they are not."""
        current = {place.pid for place in self.places if place.process is not None}
        return [pid for pid, group in _processes() if group in self._groups - current and pid != group]

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        while any(place.alive for place in self.places):
            await asyncio.sleep(_WATCH_S)
        self.nursery.close()


def _processes() -> Iterator[tuple[int, int]]:
    """(pid, process group) of all processes that live."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in "ZX":
                    yield int(entry.name), int(fields[2])
