"""Many jobs at once, and one thing that happens when the last of them has ended."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from huntaze.models import batch_store, job_cancel, job_enqueue, job_store
from huntaze.models.batch_store import Counts, Created
from huntaze.models.batches import Batch
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_args import Noop
from huntaze.models.job_enqueue import KeyReused, NewJob
from huntaze.models.job_kinds import KINDS, JobKind, Unique
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from tests.models.kinds import Report, Scrape, known, scrapes

ENDS = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
REPORT = Report(title="Monday")


@pytest.fixture(autouse=True)
def _report_is_known() -> Iterator[None]:
    with known(JobKind(Report, queue="default")):
        yield


def create(sessions: Sessions, jobs: int | Sequence[NewJob] = 3, **options: Any) -> Created:
    wanted = [NewJob(Noop())] * jobs if isinstance(jobs, int) else jobs
    with sessions.begin() as session:
        return batch_store.create(session, wanted, **options)


def end(sessions: Sessions, job_id: uuid.UUID, state: JobState = JobState.SUCCEEDED, child: bool = False) -> uuid.UUID:
    """Ends a job, as if it had run; with a `child` it leaves one behind, whose id is returned."""
    with sessions.begin() as session:
        code = "x.broken" if state == JobState.FAILED else None
        values = {"state": state, "finished_at": job_store.db_now(session), "error_code": code}
        session.execute(update(Job).where(Job.id == job_id).values(values))
        return job_enqueue.enqueue(session, Noop(), parent_id=job_id).job.id if child else job_id


def close(sessions: Sessions) -> list[Batch]:
    with sessions.begin() as session:
        return batch_store.close(session)


def reports(sessions: Sessions) -> list[Job]:
    with sessions() as session:
        return list(session.scalars(select(Job).where(Job.kind == Report.kind).order_by(Job.id)))


def test_a_batch_ends_with_its_last_job(sessions: Sessions, creator: User) -> None:
    jobs = [NewJob(Noop(), creator_id=creator.id)] * 3
    made = create(sessions, jobs, creator_id=creator.id, name="Monday", follow_on=REPORT)
    assert (made.batch.total, made.batch.ended_at, made.created) == (3, None, True)
    for job, state in zip(made.jobs, ENDS, strict=True):
        assert close(sessions) == []
        end(sessions, job.job.id, state)
    [batch] = close(sessions)
    assert batch.id == made.batch.id
    assert batch_store.counts_of(batch) == Counts(1, 1, 1)
    assert close(sessions) == []
    [report] = reports(sessions)
    assert report.id == batch.follow_on_id
    assert (report.creator_id, report.subject_id, report.batch_id) == (creator.id, batch.id, None)
    args = Report.model_validate(report.args)
    assert (args.title, args.counts) == ("Monday", Counts(1, 1, 1))
    with sessions() as session:
        [event] = session.scalars(select(Event).where(Event.type == "batch.ended"))
    assert (event.creator_id, event.subject_id) == (creator.id, batch.id)
    assert event.data == {"name": "Monday", "total": 3, "succeeded": 1, "failed": 1, "cancelled": 1}


def test_a_batch_of_nothing_ends_at_once(sessions: Sessions) -> None:
    create(sessions, 0, follow_on=REPORT)
    [batch] = close(sessions)
    assert (batch.total, batch_store.counts_of(batch)) == (0, Counts())
    assert len(reports(sessions)) == 1


def test_a_chain_counts_once_by_its_end(sessions: Sessions) -> None:
    first, second = (one.job.id for one in create(sessions, 2).jobs)
    child = end(sessions, first, child=True)
    end(sessions, second, JobState.FAILED)
    assert close(sessions) == [], "the child is of the batch"
    with sessions() as session:
        [batch] = batch_store.search(session)
        counts = batch_store.count_states(session, batch.id)
        assert len(batch_store.jobs_of(session, batch.id)) == 3
    assert {state: n for state, n in counts.items() if n} == {JobState.WAITING: 1, JobState.FAILED: 1}
    end(sessions, child, JobState.CANCELLED)
    [batch] = close(sessions)
    assert (batch.total, batch_store.counts_of(batch)) == (2, Counts(0, 1, 1))


def test_a_chain_that_branches_adds_to_the_total(sessions: Sessions) -> None:
    [one] = create(sessions, 1).jobs
    children = [end(sessions, one.job.id, child=True) for _ in range(3)]
    for child in children:
        end(sessions, child)
    [batch] = close(sessions)
    assert (batch.total, batch_store.counts_of(batch)) == (3, Counts(succeeded=3))


def test_a_replay_before_the_end_holds_it_open_and_after_it_does_not(sessions: Sessions) -> None:
    made = create(sessions, 2, follow_on=REPORT)
    for one in made.jobs:
        end(sessions, one.job.id, JobState.FAILED)
    with sessions.begin() as session:
        job_store.replay(session, made.jobs[0].job.id)
    assert close(sessions) == []
    end(sessions, made.jobs[0].job.id)
    [batch] = close(sessions)
    with sessions.begin() as session:
        job_store.replay(session, made.jobs[1].job.id)
    end(sessions, made.jobs[1].job.id)
    assert close(sessions) == []
    with sessions() as session:
        assert batch_store.counts_of(session.get_one(Batch, batch.id)) == Counts(1, 1, 0), "as it was at the end"
    assert len(reports(sessions)) == 1


def test_the_key_of_a_request_stands_for_one_batch(sessions: Sessions) -> None:
    first = create(sessions, dedupe_key="k", fingerprint="f")
    again = create(sessions, 5, dedupe_key="k", fingerprint="f")
    assert (again.created, again.batch.id, again.jobs) == (False, first.batch.id, [])
    with pytest.raises(KeyReused):
        create(sessions, dedupe_key="k", fingerprint="g")
    with sessions() as session:
        assert len(list(session.scalars(select(Job)))) == 3


def test_what_is_unique_elsewhere_stays_there(sessions: Sessions) -> None:
    pages = [NewJob(Scrape(url=url)) for url in "abab"]
    with scrapes(Unique()):
        with sessions.begin() as session:
            job_enqueue.enqueue(session, Scrape(url="a"))
        made = create(sessions, pages)
    assert [one.created for one in made.jobs] == [False, True, False, False]
    assert made.batch.total == 1
    assert made.jobs[0].job.batch_id is None


def test_a_follow_on_must_take_counts(sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="noop cannot follow a batch: it takes no counts"):
        create(sessions, follow_on=Noop())
    with sessions() as session:
        assert batch_store.search(session) == []


def test_an_unknown_follow_on_waits_for_who_knows_it_and_holds_up_nobody(sessions: Sessions) -> None:
    """As after a deploy that was rolled back."""
    create(sessions, 0, name="new", follow_on=REPORT)
    create(sessions, 0, name="old")
    kind = KINDS.pop(Report.kind)
    try:
        assert [batch.name for batch in close(sessions)] == ["old"]
    finally:
        KINDS[Report.kind] = kind
    assert [batch.name for batch in close(sessions)] == ["new"]


def test_cancelling_takes_all_that_live(sessions: Sessions) -> None:
    made = create(sessions, 5)
    ids = [one.job.id for one in made.jobs]
    end(sessions, ids[0])
    with sessions.begin() as session:
        now = job_store.db_now(session)
        running = {"state": "running", "lease_until": now, "attempt": 1}
        session.execute(update(Job).where(Job.id == ids[1]).values(running))
    done = []
    while not done or done[-1]:
        with sessions.begin() as session:
            done.append(batch_store.cancel_some(session, made.batch.id, limit=3))
    assert done == [3, 1, 0]
    with sessions() as session:
        jobs = {job.id: job for job in session.scalars(select(Job))}
    assert [jobs[id].state for id in ids] == ["succeeded", "running", *["cancelled"] * 3]
    assert jobs[ids[1]].cancel_requested_at is not None
    assert close(sessions) == [], "one still runs"


def test_many_are_cancelled_as_one_is(sessions: Sessions, creator: User) -> None:
    job = NewJob(Noop(), creator_id=creator.id, subject_id=uuid.uuid4())
    ids = [one.job.id for one in create(sessions, [job] * 3).jobs]
    with sessions.begin() as session:
        job_store.cancel(session, ids[0])
    with sessions.begin() as session:
        job_cancel.cancel_many(session, ids)
    with sessions() as session:
        jobs = [session.get_one(Job, id) for id in ids]
        events = list(session.scalars(select(Event).order_by(Event.subject_id)))
    assert [event.subject_id for event in events] == ids, "the first is told once"
    assert len({(event.type, event.creator_id, str(event.data)) for event in events}) == 1
    assert {(job.state, job.finished_at is None, job.cancel_requested_at is None) for job in jobs} == {
        ("cancelled", False, False)
    }


def test_two_dispatchers_close_a_batch_once(sessions: Sessions) -> None:
    create(sessions, 0, follow_on=REPORT)
    with sessions.begin() as one, sessions.begin() as other:
        assert len(batch_store.close(one)) == 1
        assert batch_store.close(other) == [], "passed over, not waited for"
    assert close(sessions) == []
    assert len(reports(sessions)) == 1


def test_eight_dispatchers_close_forty_batches_once(sessions: Sessions) -> None:
    for number in range(40):
        create(sessions, 0, name=str(number), follow_on=REPORT)
    barrier = threading.Barrier(8)

    def sweep(_: int) -> list[str | None]:
        barrier.wait(10)
        closed = []
        for _ in range(20):
            with sessions.begin() as session:
                closed += [batch.name for batch in batch_store.close(session, limit=3)]
        return closed

    with ThreadPoolExecutor(8) as pool:
        names = [name for closed in pool.map(sweep, range(8)) for name in closed]
    assert sorted(names, key=str) == sorted(str(number) for number in range(40))
    assert len(reports(sessions)) == 40


def test_last_jobs_that_end_at_once(sessions: Sessions) -> None:
    """Each sees the other live until it commits; the sweep sees both ended, whenever it comes."""
    for _ in range(15):
        made = create(sessions, 4, follow_on=REPORT)
        barrier = threading.Barrier(6)
        ended = threading.Event()

        def finish(job_id: uuid.UUID, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            end(sessions, end(sessions, job_id, child=True))

        def sweep(barrier: threading.Barrier = barrier, ended: threading.Event = ended) -> list[Batch]:
            barrier.wait(10)
            closed = []
            while not ended.is_set():
                closed += close(sessions)
            return closed + close(sessions)

        with ThreadPoolExecutor(6) as pool:
            sweeps = [pool.submit(sweep) for _ in range(2)]
            list(pool.map(finish, [one.job.id for one in made.jobs]))
            ended.set()
            [batch] = [batch for each in sweeps for batch in each.result()]
        assert batch_store.counts_of(batch) == Counts(succeeded=4)
    assert len(reports(sessions)) == 15


Step = tuple[int, str]
STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(("succeeded", "failed", "cancelled", "child", "replay", "sweep"))),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(jobs=st.integers(0, 6), steps=STEPS)
def test_whatever_order_jobs_end_in(sessions: Sessions, jobs: int, steps: list[Step]) -> None:
    """The counts add up to the total, are those of the moment of the end, and one job follows."""
    with sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, batches, events CASCADE"))
    made = create(sessions, jobs, follow_on=REPORT)
    chain = [one.job.id for one in made.jobs]  # of each, the last job
    states = [JobState.WAITING] * jobs
    at_end: list[JobState] | None = None
    for number, what in [*steps, *((n, "succeeded") for n in range(jobs)), (0, "sweep")]:
        if what == "sweep":
            closed = close(sessions)
            due = at_end is None and JobState.WAITING not in states
            assert len(closed) == due
            at_end = list(states) if due else at_end
        elif number < jobs and what == "replay":
            if states[number] == JobState.FAILED:
                with sessions.begin() as session:
                    job_store.replay(session, chain[number])
                states[number] = JobState.WAITING
        elif number < jobs and states[number] == JobState.WAITING:
            state = JobState.SUCCEEDED if what == "child" else JobState(what)
            chain[number] = end(sessions, chain[number], state, child=what == "child")
            states[number] = JobState.WAITING if what == "child" else state
        if at_end is None:
            with sessions() as session:
                found = batch_store.count_states(session, made.batch.id)
            assert {state: n for state, n in found.items() if n} == Counter(states)
    assert at_end is not None
    [report] = reports(sessions)
    seen = Report.model_validate(report.args).counts
    ends = Counter(at_end)
    assert seen == Counts(ends[JobState.SUCCEEDED], ends[JobState.FAILED], ends[JobState.CANCELLED])
    assert seen.succeeded + seen.failed + seen.cancelled == jobs
