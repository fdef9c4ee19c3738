"""A batch through the engine: run, swept, followed."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from huntaze.models import batch_store, event_store, job_reads
from huntaze.models.batches import Batch
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import JobArgs, Noop
from huntaze.models.job_dispatch import Hint
from huntaze.models.job_enqueue import NewJob
from huntaze.models.job_kinds import JobKind
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.worker.dispatcher import Dispatcher
from tests.models.kinds import Report, known

Work = Callable[..., list[str]]


def nobody_listens(hints: Sequence[Hint]) -> None:
    raise ConnectionError("the broker is away")


@pytest.fixture
def sweep(sessions: Sessions, settings: Settings) -> Callable[[], object]:
    """The first round of a dispatcher."""
    return lambda: Dispatcher(sessions, nobody_listens, settings.worker, settings.database.libpq_url).round()


def handler(ctx: JobContext, args: JobArgs) -> None:
    """A parent leaves a child behind; of the children the second fails."""
    with ctx.sessions() as session:
        order = [job.id for job in job_reads.search(session) if job.parent_id]
    if ctx.job.id in order[1:]:
        raise Permanent("x.broken", "It broke.")
    with ctx.finish() as finish:
        if ctx.job.id not in order:
            finish.enqueue(Noop())


def test_a_batch_through_the_engine(sessions: Sessions, sweep: Callable[[], object], work: Work, creator: User) -> None:
    with known(JobKind(Report, queue="default")):
        with sessions.begin() as session:
            jobs = [NewJob(Noop(), creator_id=creator.id)] * 2
            batch = batch_store.create(session, jobs, creator_id=creator.id, follow_on=Report(title="x")).batch
        assert sorted(work(handler)) == ["succeeded", "succeeded"]
        sweep()
        assert ended(sessions, batch) is None, "what its jobs left behind is of the batch"
        assert sorted(work(handler)) == ["failed", "succeeded"]
        sweep()
    with sessions.begin() as session:
        event_store.place(session)
        [report] = session.scalars(select(Job).where(Job.kind == Report.kind))
        [event] = session.scalars(select(Event).where(Event.type == "batch.ended"))
    assert ended(sessions, batch) == (1, 1, 0)
    assert report.args["counts"] == {"succeeded": 1, "failed": 1, "cancelled": 0}
    assert event.position is not None


def ended(sessions: Sessions, batch: Batch) -> tuple[int | None, ...] | None:
    with sessions() as session:
        now = session.get_one(Batch, batch.id)
    return None if now.ended_at is None else (now.succeeded, now.failed, now.cancelled)
