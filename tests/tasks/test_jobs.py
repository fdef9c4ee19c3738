"""The hourly cleaning, called as a plain function: the slot is its now, and it stops where it is told to."""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_claim, job_dispatch, job_enqueue
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobsPrune
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_retention import ROWS
from huntaze.models.job_settle import CancelRequested
from huntaze.models.jobs import Job, JobState
from huntaze.settings import Settings
from huntaze.tasks import jobs
from huntaze.tasks.context import JobContext
from tests.models.old_jobs import left, many_old_jobs, now, old_job

Start = Callable[..., tuple[JobContext, JobsPrune]]


@pytest.fixture
def start(sessions: Sessions, settings: Settings) -> Start:
    """A claimed job of a slot, with its context."""

    def begin(slot: datetime | None = None, *, cancelled: bool = False) -> tuple[JobContext, JobsPrune]:
        args = JobsPrune(slot=slot or now(sessions))
        with sessions.begin() as session:
            job = job_enqueue.enqueue(session, args).job
            job_dispatch.take_due(session, "default", 10, {"jobs.prune": 1}, Turns())
            held = job_claim.claim(session, job.id, "here/1", 60)
        assert held is not None
        clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"))
        lease = SimpleNamespace(lost=False, cancelled=cancelled)
        return JobContext(held, sessions, clients, lease, settings), args

    return begin


def result(ctx: JobContext) -> dict[str, object] | None:
    with ctx.sessions() as session:
        job = session.get_one(Job, ctx.job.id)
    assert job.state == JobState.SUCCEEDED
    return job.result


def test_each_state_has_its_days(sessions: Sessions, start: Start) -> None:
    kept = {
        old_job(sessions, JobState.FAILED, timedelta(days=29)),
        old_job(sessions, JobState.WAITING, timedelta(days=99)),
    }
    for state, days in ((JobState.FAILED, 31), (JobState.SUCCEEDED, 8), (JobState.CANCELLED, 8)):
        old_job(sessions, state, timedelta(days=days))
    ctx, args = start()
    jobs.prune_jobs(ctx, args)
    assert left(sessions) == kept | {ctx.job.id}
    assert result(ctx) == {"succeeded": 1, "failed": 1, "cancelled": 1, "batches": 0, "more": False}


def test_the_slot_is_its_now(sessions: Sessions, start: Start) -> None:
    job = old_job(sessions, JobState.SUCCEEDED, timedelta(days=8))
    ctx, args = start(now(sessions) - timedelta(days=2))
    jobs.prune_jobs(ctx, args)
    assert left(sessions) == {job, ctx.job.id}


def test_what_the_time_is_too_short_for_is_left_to_the_next_slot(
    sessions: Sessions, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_old_jobs(sessions, 10, JobState.SUCCEEDED, timedelta(days=8))
    monkeypatch.setattr(jobs, "BUDGET_S", 0.0)
    ctx, args = start()
    jobs.prune_jobs(ctx, args)
    found = result(ctx)
    assert found is not None
    assert found["more"] is True
    monkeypatch.undo()
    then, args = start()
    jobs.prune_jobs(then, args)
    assert left(sessions) == {ctx.job.id, then.job.id}


def test_a_cancel_is_obeyed_between_two_turns(sessions: Sessions, start: Start) -> None:
    many_old_jobs(sessions, ROWS + 1, JobState.SUCCEEDED, timedelta(days=8))
    ctx, args = start(cancelled=True)
    with pytest.raises(CancelRequested):
        jobs.prune_jobs(ctx, args)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == ROWS + 2, "nothing was begun"
