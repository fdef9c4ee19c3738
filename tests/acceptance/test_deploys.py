"""Old and new code side by side, as during a rolling deploy."""

import json
import os
import subprocess
import sys

import pytest

from huntaze.models.job_args import JobArgs
from huntaze.models.job_dispatch import Hint, Turns, promote, take_due
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job, JobState
from huntaze.setting_groups import RedisSettings
from huntaze.settings import Settings
from huntaze.worker.app import build_app
from huntaze.worker.dispatcher import celery_sender
from tests.acceptance import kinds
from tests.acceptance.conftest import Processes
from tests.acceptance.kinds import Labelled, Novel, OldLabelled
from tests.acceptance.ledger import Ledger
from tests.waiting import until

OLD = {kinds.DEPLOY: "old"}


def doctor(fleet: Processes) -> list[str]:
    """What `huntaze doctor` says of kinds."""
    done = subprocess.run(
        [sys.executable, "-m", "huntaze.cli.main", "doctor", "--json"],
        env={**os.environ, **fleet.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return [one["detail"] for one in json.loads(done.stdout) if one["check"] == "kinds"]


def node_of(ledger: Ledger, job: Job) -> str:
    """The node of the job's last attempt."""
    return str(ledger.attempts(job)[-1]["worker"]).partition("/")[0]


def costs(jobs: list[Job]) -> list[tuple[str, int, int, int]]:
    return [(job.state, job.attempt, job.errors, job.crashes) for job in jobs]


def test_what_is_new_waits_for_the_new_and_costs_nothing(fleet: Processes, ledger: Ledger) -> None:
    fleet.dispatcher()
    fleet.worker("default", 2, **OLD)
    old_rows = ledger.enqueue(OldLabelled(name="by the old"))
    ledger.ended([old_rows], "the old worker to do what it knows")
    new = [ledger.enqueue(Novel()) for _ in range(6)] + [ledger.enqueue(Labelled(label="new")) for _ in range(6)]
    known = ledger.enqueue(OldLabelled(name="known"))
    ledger.ended([known], "what comes later, and is known, not to be held up")
    assert costs([ledger.job(job) for job in new]) == [(JobState.WAITING, 0, 0, 0)] * 12
    assert doctor(fleet) == [
        "6 jobs of kind test.labelled version 2 wait for a worker that knows them",
        "6 jobs of kind test.novel version 1 wait for a worker that knows them",
    ]
    fleet.worker("default", 2)
    done = ledger.ended(new, "the new worker to do what is new", 60)
    assert costs(done) == [(JobState.SUCCEEDED, 1, 0, 0)] * 12, fleet.logs()
    assert {node_of(ledger, job) for job in new}.isdisjoint({node_of(ledger, old_rows)})
    assert doctor(fleet) == ["every job that is due has a worker that knows its kind"]


def test_rows_of_the_old_deploy_are_run_by_the_new(fleet: Processes, ledger: Ledger) -> None:
    rows = [ledger.enqueue(OldLabelled(name=f"number {n}")) for n in range(3)]
    fleet.dispatcher()
    fleet.worker("default", 2)
    done = ledger.ended(rows, "the new worker to do what the old deploy left")
    assert [job.result for job in done] == [{"label": f"number {n}"} for n in range(3)], "upgraded on the way"
    assert costs(done) == [(JobState.SUCCEEDED, 1, 0, 0)] * 3


@pytest.mark.parametrize("args", [Novel(), Labelled(label="new")], ids=["kind", "version"])
@pytest.mark.parametrize("queues", ["default", "video,default"], ids=["threads", "prefork"])
def test_a_message_that_a_worker_does_not_understand_goes_back_at_once(
    fleet: Processes, ledger: Ledger, settings: Settings, args: JobArgs, queues: str
) -> None:
    """The dispatcher cannot choose who gets a message: with both deploys alive, the old one gets some that it cannot
    run. Long before the row would count as lost it is back."""
    fleet.worker(queues, HUNTAZE_WORKER_QUEUED_TIMEOUT_S="600", **OLD)
    job = ledger.enqueue(args)
    with ledger.sessions.begin() as session:
        promote(session)
        newest = {name: kind.args.version for name, kind in KINDS.items()}
        hints = take_due(session, "default", 10, newest, Turns()).hints
    assert ledger.job(job).state == JobState.QUEUED
    send(settings.redis.model_copy(update={"prefix": fleet.environment["HUNTAZE_REDIS_PREFIX"]}), settings, hints)
    until(lambda: ledger.job(job).state == JobState.WAITING, "the row to be waiting again", 10)
    back = ledger.job(job)
    assert costs([back]) == [(JobState.WAITING, 0, 0, 0)]
    assert not back.ready, "it is not sent again at once, over and over"
    assert (back.run_at - ledger.now()).total_seconds() < 1.0


def send(redis: RedisSettings, settings: Settings, hints: list[Hint]) -> None:
    app = build_app(settings.model_copy(update={"redis": redis}))
    celery_sender(app)(hints)
    app.close()
