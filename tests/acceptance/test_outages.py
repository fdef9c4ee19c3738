"""Stores that go away and come back, machines that freeze, jobs that kill: with real processes."""

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import redis

from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.stores import Stores, start_stores
from huntaze.cli.stack.supervisor import Supervisor
from huntaze.models import schema
from huntaze.models.database import build_engine, build_sessions
from huntaze.models.jobs import JobState
from tests.acceptance.conftest import Processes
from tests.acceptance.kinds import Frames, Hold, Poison, Retried
from tests.acceptance.ledger import Ledger
from tests.waiting import until


@dataclass(frozen=True)
class Postgres:
    """A server of this test's own, which can be taken away."""

    supervisor: Supervisor
    stores: Stores
    runner: asyncio.Runner
    logs: Path

    def down(self) -> None:
        self.runner.run(self.supervisor.stop("postgres"))

    def up(self) -> None:
        assert self.stores.postgres is not None
        self.runner.run(self.supervisor.start(self.stores.postgres.service(self.logs)))


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with RunDir(tmp_path_factory.mktemp("own")) as run, asyncio.Runner() as runner:
        supervisor = Supervisor(run.logs, lock_fd=run.lock_fd)
        try:
            stores = runner.run(start_stores(supervisor, run, valkey=False, s3=False))
            yield Postgres(supervisor, stores, runner, run.logs)
        finally:
            runner.run(supervisor.stop())


@pytest.fixture
def own(ledger: Ledger, postgres: Postgres) -> Iterator[Ledger]:
    """The ledger in that server."""
    engine = build_engine(postgres.stores.database_url, pool_size=4, application="tests")
    schema.upgrade(engine)
    there = replace(ledger, sessions=build_sessions(engine))
    yield replace(there, creator=there.user("ada"))
    engine.dispose()


def point(fleet: Processes, own: Ledger, postgres: Postgres) -> Processes:
    environment = {**fleet.environment, "HUNTAZE_DATABASE_URL": postgres.stores.database_url}
    return replace(fleet, sessions=own.sessions, environment=environment, running=fleet.running)


@pytest.mark.parametrize("settled", ["success", "retry"])
def test_a_database_that_goes_away_while_a_job_ends_costs_it_nothing(
    fleet: Processes, own: Ledger, postgres: Postgres, tmp_path: Path, settled: str
) -> None:
    """Without the wait for it, the attempt would be left to its lease, and count as a crash."""
    fleet = point(fleet, own, postgres)
    fleet.dispatcher()
    fleet.worker("default", 2, HUNTAZE_WORKER_LEASE_S="30")
    file = tmp_path / "go on"
    job = own.enqueue(Hold(file=file) if settled == "success" else Retried(retry_after=0, file=file))
    held = own.until_running(job)
    postgres.down()
    file.touch()  # the handler ends within moments; the server needs longer to start
    postgres.up()
    own.sessions.kw["bind"].dispose()
    assert held.lease_until is not None
    (done,) = own.ended([job], "the job to be done after all", 25)
    assert (done.state, done.crashes, own.effects(job)) == (JobState.SUCCEEDED, 0, 1), fleet.logs()
    assert done.errors == int(settled == "retry"), "the database's trouble is not the job's"
    assert done.attempt == 2, "the end of the first attempt found no database"
    assert own.now() < held.lease_until, "nobody waited for the lease"


def test_a_machine_that_was_frozen_past_its_lease_changes_nothing(
    fleet: Processes, ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "go on"
    fleet.dispatcher()
    frozen = fleet.worker("default", 1, HUNTAZE_WORKER_LEASE_S="2")
    job = ledger.enqueue(Hold(file=file))
    ledger.until_running(job)
    os.killpg(frozen.pid, signal.SIGSTOP)
    until(lambda: ledger.job(job).crashes == 1, "the lease to run out")
    fleet.worker("default", 1, HUNTAZE_WORKER_LEASE_S="2")
    file.touch()  # whoever runs it is done at once: the second now, the first when it wakes up
    (before,) = ledger.ended([job], "the other node to do it", 20)
    os.killpg(frozen.pid, signal.SIGCONT)
    until(lambda: "lease lost" in fleet.logs(), "the first to find out")
    after = ledger.job(job)
    assert (after.attempt, after.finished_at, after.crashes) == (2, before.finished_at, 1)
    assert [one["outcome"] for one in ledger.attempts(job)] == ["crashed", "succeeded"]
    assert ledger.effects(job) == 1


def test_a_poison_pill_is_shelved_and_its_neighbours_go_on(fleet: Processes, ledger: Ledger) -> None:
    fleet.dispatcher()
    fleet.worker("video", 2, HUNTAZE_WORKER_LEASE_S="1")
    poison = ledger.enqueue(Poison())
    neighbours = [ledger.enqueue(Frames(seconds=0.5)) for _ in range(12)]
    done = ledger.ended(neighbours, "the neighbours to be done")
    (shelved,) = ledger.ended([poison], "the poison to be shelved")
    assert (shelved.state, shelved.error_code, shelved.crashes) == (JobState.FAILED, "crashed", 3), fleet.logs()
    assert [one["outcome"] for one in ledger.attempts(poison)] == ["crashed"] * 3
    assert [(job.state, job.attempt) for job in done] == [(JobState.SUCCEEDED, 1)] * 12
    assert [ledger.effects(job) for job in neighbours] == [1] * 12


def test_a_broker_that_is_flushed_gets_all_it_held_at_once(fleet: Processes, ledger: Ledger) -> None:
    """Long before any of them would count as lost."""
    with redis.Redis.from_url(fleet.environment["HUNTAZE_REDIS_URL"]) as broker:
        hints = f"{fleet.environment['HUNTAZE_REDIS_PREFIX']}default"
        fleet.dispatcher(HUNTAZE_WORKER_QUEUED_TIMEOUT_S="600")
        worker = fleet.worker("default", 4)
        os.killpg(worker.pid, signal.SIGSTOP)  # nobody takes the hints
        jobs = [ledger.enqueue(Hold(seconds=0)) for _ in range(4)]
        until(lambda: ledger.count("queued") == 4, "all to be sent")
        broker.flushdb()
        until(lambda: int(broker.llen(hints)) >= 4, "all to be sent again", 10)  # type: ignore[arg-type]
        os.killpg(worker.pid, signal.SIGCONT)
        done = ledger.ended(jobs, "all to be done")
    assert [(job.state, job.attempt, job.crashes) for job in done] == [(JobState.SUCCEEDED, 1, 0)] * 4
    assert [ledger.effects(job) for job in jobs] == [1] * 4
