"""One trial from its start to its outcome."""

import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models import job_store, node_store
from huntaze.models.jobs import Job, JobState
from huntaze.pipelines.errors import Permanent
from tests.chaos import checks, domains, records
from tests.chaos.checks import Violation
from tests.chaos.domains import Domains
from tests.chaos.faults import DoneFault, Faults
from tests.chaos.fleet import Fleet
from tests.chaos.kinds import OUTSIDE_PORT, Poison
from tests.chaos.load import Load, persist
from tests.chaos.nursery import Nursery
from tests.chaos.outside import OutsideWorld
from tests.chaos.plan import PlannedFault, plan_faults, plan_jobs
from tests.chaos.report import Outcome
from tests.chaos.stores import StoresUnderTest, stores_under_test

T = TypeVar("T")

LEASE_S = 2.5
_READY_S = 120.0
_STILL_S = 90.0  # no job ended for so long, and no fault to blame: the rest is stuck
_ROUNDS = 20  # of letting minutes pass: nobody has to be waited for so often
# Beyond so much more than three times its time and this for each job something hangs, perhaps the trial itself.
_LONGEST_S, _LONGEST_JOB_S = 600.0, 0.3


@dataclass
class Trial:
    """What to do. `faults`: which kinds, None for all of them, empty for none. `say`: news while it runs."""

    seed: int
    jobs: int
    seconds: float
    every_s: float
    folder: Path
    faults: tuple[str, ...] | None = None
    say: Callable[[str], None] = lambda line: None
    _replayed: set[uuid.UUID] = field(default_factory=set)

    async def run(self) -> Outcome:
        outside = OutsideWorld()
        await outside.start()
        async with stores_under_test(self.folder) as stores:
            fleet = Fleet(Nursery({**stores.environment, **_environment(outside)}, stores.logs))
            keeper = asyncio.create_task(fleet.keep())
            try:
                await self._until_ready(stores, fleet)
                async with asyncio.timeout(_LONGEST_S + 3 * self.seconds + _LONGEST_JOB_S * self.jobs):
                    return await self._trial(stores, fleet, outside)
            except TimeoutError:
                await fleet.tell("the trial does not end")
                flushed("\n".join(fleet.hung))
                raise
            finally:
                keeper.cancel()
                with suppress(asyncio.CancelledError):
                    await keeper
                await fleet.close()
                outside.close()

    async def _trial(self, stores: StoresUnderTest, fleet: Fleet, outside: OutsideWorld) -> Outcome:
        start = time.monotonic()
        jobs = plan_jobs(self.seed, self.jobs, self.seconds)
        load = Load(stores.sessions, self.seed)
        await persist(load.prepare)
        asks = sum(job.kind == "ask" for job in jobs)
        beside = Domains.of(stores.sessions, outside, self.seed, self.jobs, asks, self.seconds)
        await persist(lambda: beside.prepare(load))
        faults = Faults(fleet, stores, LEASE_S, on_fault=self._tell_fault(start))
        names = list(faults.by_name()) if self.faults is None else list(self.faults)
        planned = plan_faults(self.seed, names, self.seconds, self.every_s) if names else []
        sending = asyncio.gather(load.run(jobs), beside.run())
        await self._do_faults(faults, planned, start)
        await sending
        await faults.over()
        draining = time.monotonic()
        self.say("the faults are over: the fleet drains")
        await self._drain(stores, fleet, beside)
        drained, ended = time.monotonic(), datetime.now(UTC)
        orphans = fleet.orphans()
        await fleet.stop()
        found = await persist(lambda: self._read(stores, outside))
        wrong = await persist(lambda: self._check_beside(stores, beside))
        return Outcome(
            seed=self.seed,
            jobs=self.jobs,
            seconds=time.monotonic() - start,
            drain_s=drained - draining,
            faults=faults.done,
            violations=[*checks.check(found, load, self._replayed, ended), *wrong],
            ended_by_themselves=fleet.ended,
            hung=fleet.hung,
            orphans=len(orphans),
            replayed=len(self._replayed),
            figures=beside.figures,
            records=found,
            load=load,
            logs=stores.logs,
        )

    async def _do_faults(self, faults: Faults, planned: list[PlannedFault], start: float) -> None:
        for fault in planned:
            await asyncio.sleep(max(0.0, start + fault.at - time.monotonic()))
            faults.begin(fault)
        await asyncio.sleep(max(0.0, start + self.seconds - time.monotonic()))

    async def _until_ready(self, stores: StoresUnderTest, fleet: Fleet) -> None:
        deadline = time.monotonic() + _READY_S
        while len(await persist(lambda: self._nodes(stores))) < len(fleet.places):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the fleet did not start within {_READY_S:g} s: see {stores.logs}")
            await asyncio.sleep(0.1)
        self.say(f"{len(fleet.places)} processes are there; logs in {stores.logs}")

    @staticmethod
    def _nodes(stores: StoresUnderTest) -> list[node_store.Heartbeat]:
        with stores.sessions() as session:
            return node_store.alive(session)

    async def _drain(self, stores: StoresUnderTest, fleet: Fleet, beside: Domains) -> None:
        """Until all is done, also what waited for money or is left to the nets. Who stands still is looked at."""
        if not await persist(beside.purse.look):  # the money lasts until all have asked
            await self._until_still(stores)
            await persist(beside.purse.look)
        await persist(beside.purse.fill)
        still = await self._until_done(stores, beside)
        if still:
            await persist(lambda: _in_one(stores, beside.last_call))
            still = await self._until_done(stores, beside)
        if not still:
            await fleet.tell(f"nothing moved for {_STILL_S:g} s")

    async def _until_done(self, stores: StoresUnderTest, beside: Domains) -> bool:
        """As `_until_still`; what waits for minutes is due at once."""
        for _ in range(_ROUNDS):
            if not await self._until_still(stores):
                return False
            if not await persist(lambda: _in_one(stores, beside.hurry)):
                return True
        return False

    async def _until_still(self, stores: StoresUnderTest) -> bool:
        """Until every job that is due has ended and every event has its place. False: nothing has moved for long."""
        before, moved_at = -1, time.monotonic()
        while time.monotonic() - moved_at < _STILL_S:
            left, now = await persist(lambda: self._look(stores))
            if now != before:
                before, moved_at = now, time.monotonic()
            if not left and not await persist(lambda: self._replay(stores)):
                return True
            await asyncio.sleep(0.2)
        return False

    @staticmethod
    def _look(stores: StoresUnderTest) -> tuple[int, int]:
        with stores.sessions() as session:
            return records.live(session) + records.unplaced(session), records.ended(session)

    def _replay(self, stores: StoresUnderTest) -> int:
        """Puts innocent jobs that faults hit three times back to work; returns how many. Another may have taken up the
        same work meanwhile."""
        crashed = (Job.state == JobState.FAILED) & (Job.error_code == "crashed") & (Job.kind != Poison.kind)
        with stores.sessions.begin() as session:
            replayed = [job_id for job_id in session.scalars(select(Job.id).where(crashed)) if _again(session, job_id)]
        self._replayed.update(replayed)
        return len(replayed)

    def _check_beside(self, stores: StoresUnderTest, beside: Domains) -> list[Violation]:
        with stores.sessions() as session:
            return beside.check(session, self._replayed)

    @staticmethod
    def _read(stores: StoresUnderTest, outside: OutsideWorld) -> records.Records:
        with stores.sessions() as session:
            return records.read(session, outside.calls)

    def _tell_fault(self, start: float) -> Callable[[DoneFault], None]:
        return lambda fault: self.say(f"{time.monotonic() - start:7.1f} s  {fault.name}: {fault.victim}")


def _again(session: Session, job_id: uuid.UUID) -> bool:
    try:
        with session.begin_nested():
            return job_store.replay(session, job_id) is not None
    except Permanent:
        return False


def _in_one(stores: StoresUnderTest, step: Callable[[Session], T]) -> T:
    with stores.sessions.begin() as session:
        return step(session)


def _environment(outside: OutsideWorld) -> dict[str, str]:
    return {
        **domains.environment(outside.url),
        OUTSIDE_PORT: str(outside.port),
        "HUNTAZE_REDIS_PREFIX": "chaos:",
        "HUNTAZE_WORKER_LEASE_S": str(LEASE_S),
        "HUNTAZE_WORKER_GRACE_S": "1",
        "HUNTAZE_WORKER_QUEUED_TIMEOUT_S": "5",
        "HUNTAZE_S3_BUCKET": "chaos",
        "PYTHONUNBUFFERED": "1",
    }


def flushed(line: str) -> None:
    """Says it at once, to whoever watches."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
