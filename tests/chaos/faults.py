"""The faults by name. Each method does one and undoes it, and says whom it hit; None: there was nobody to hit."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import redis

from tests.chaos.fleet import Fleet, Place
from tests.chaos.plan import PlannedFault
from tests.chaos.proxy import Proxy
from tests.chaos.stores import StoresUnderTest

T = TypeVar("T")
Fault = Callable[[PlannedFault], Awaitable[str | None]]


@dataclass(frozen=True)
class DoneFault:
    """One fault that happened."""

    at: datetime
    name: str
    victim: str


@dataclass
class Faults:
    """Does faults, several at once where they overlap."""

    fleet: Fleet
    stores: StoresUnderTest
    lease_s: float
    done: list[DoneFault] = field(default_factory=list)
    on_fault: Callable[[DoneFault], None] = lambda fault: None
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def by_name(self) -> dict[str, Fault]:
        postgres, valkey = self.stores.postgres_proxy, self.stores.valkey_proxy
        return {
            "kill child": self._kill_child,
            "kill node": lambda f: self._kill(f, "prefork", "threads"),
            "kill main": lambda f: self._kill(f, "prefork", group=False),
            "kill dispatcher": lambda f: self._kill(f, "dispatcher"),
            "kill beat": lambda f: self._kill(f, "beat"),
            "stop node": self._stop_node,
            "freeze child": self._freeze_child,
            "freeze node": lambda f: self._freeze(f, "prefork", "threads"),
            "freeze dispatcher": lambda f: self._freeze(f, "dispatcher"),
            "flush valkey": self._flush,
            "restart valkey": self._restart_valkey,
            "restart postgres": lambda f: self._restart_postgres(f, signal.SIGINT),
            "crash postgres": lambda f: self._restart_postgres(f, signal.SIGQUIT),
            "cut valkey": lambda f: self._cut(f, valkey),
            "cut postgres": lambda f: self._cut(f, postgres),
            "stall valkey": lambda f: self._stall(f, valkey),
            "stall postgres": lambda f: self._stall(f, postgres),
            "slow valkey": lambda f: self._slow(f, valkey),
            "slow postgres": lambda f: self._slow(f, postgres),
            "half-open valkey": lambda f: self._vanish(valkey),
            "half-open postgres": lambda f: self._vanish(postgres),
        }

    def begin(self, fault: PlannedFault) -> None:
        task = asyncio.create_task(self._do(fault))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def over(self) -> None:
        """Returns when all that was begun is undone."""
        while self._running:
            await asyncio.gather(*self._running)

    async def _do(self, fault: PlannedFault) -> None:
        begun = datetime.now(UTC)
        victim = await self.by_name()[fault.name](fault)
        if victim is not None:
            self.done.append(DoneFault(begun, fault.name, victim))
            self.on_fault(self.done[-1])

    async def _kill_child(self, fault: PlannedFault) -> str | None:
        pids = [pid for place in self.fleet.of_role("prefork") for pid in self.fleet.children(place)]
        if not pids:
            return None
        pid = _pick(pids, fault)
        self.fleet.kill_child(pid)
        return f"process {pid}"

    async def _kill(self, fault: PlannedFault, *roles: str, group: bool = True) -> str | None:
        place = self._victim(fault, *roles)
        if place is None:
            return None
        self.fleet.kill(place, back_in_s=2 * fault.length, group=group)
        return f"{place.name}, process {place.pid}"

    async def _stop_node(self, fault: PlannedFault) -> str | None:
        place = self._victim(fault, "prefork", "threads")
        if place is None:
            return None
        pid = place.pid
        self.fleet.retire(place)
        return f"{place.name}, process {pid}"

    async def _freeze_child(self, fault: PlannedFault) -> str | None:
        pids = [pid for place in self.fleet.of_role("prefork") for pid in self.fleet.children(place)]
        if not pids:
            return None
        pid = _pick(pids, fault)
        return await self._freeze_pids([pid], fault, f"process {pid}")

    async def _freeze(self, fault: PlannedFault, *roles: str) -> str | None:
        place = self._victim(fault, *roles)
        if place is None:
            return None
        return await self._freeze_pids([place.pid, *self.fleet.children(place)], fault, place.name)

    async def _freeze_pids(self, pids: list[int], fault: PlannedFault, who: str) -> str:
        """Beyond the lease, so that it is rescued while its holder sleeps and then wakes up in the middle of it."""
        seconds = self.lease_s + 1 + 2 * fault.length
        self.fleet.signal(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.fleet.signal(pids, signal.SIGCONT)
        return f"{who}, {seconds:.1f} s"

    def _victim(self, fault: PlannedFault, *roles: str) -> Place | None:
        places = self.fleet.of_role(*roles)
        return _pick(places, fault) if places else None

    async def _flush(self, fault: PlannedFault) -> str | None:
        with suppress(redis.RedisError):
            await asyncio.to_thread(self.stores.flush)
            return "all keys"
        return None

    async def _restart_valkey(self, fault: PlannedFault) -> str:
        await self.stores.restart_valkey(down_s=3 * fault.length)
        return f"down {3 * fault.length:.1f} s"

    async def _restart_postgres(self, fault: PlannedFault, number: signal.Signals) -> str:
        await self.stores.restart_postgres(number, down_s=3 * fault.length)
        return f"{number.name}, down {3 * fault.length:.1f} s"

    async def _cut(self, fault: PlannedFault, proxy: Proxy) -> str:
        """All connections are reset; for up to 2 s new ones are as well."""
        proxy.refuse(True)
        await asyncio.sleep(2 * fault.length)
        proxy.refuse(False)
        return f"{2 * fault.length:.1f} s"

    async def _stall(self, fault: PlannedFault, proxy: Proxy) -> str:
        proxy.stall()
        await asyncio.sleep(2 + 5 * fault.length)
        proxy.flow()
        return f"{2 + 5 * fault.length:.1f} s"

    async def _slow(self, fault: PlannedFault, proxy: Proxy) -> str:
        proxy.delay_s = 0.01 + 0.06 * fault.length
        await asyncio.sleep(4)
        proxy.delay_s = 0.0
        return f"{1000 * (0.01 + 0.06 * fault.length):.0f} ms a packet for 4 s"

    async def _vanish(self, proxy: Proxy) -> str:
        return f"{proxy.vanish()} connections"


def _pick(candidates: Sequence[T], fault: PlannedFault) -> T:
    return candidates[int(fault.pick * len(candidates))]
