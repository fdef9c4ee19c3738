"""Claim, hand over, settle: what becomes of the row for every way in which a handler can end."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import OperationalError

from huntaze.models import event_store, job_enqueue, job_reads, job_rescue, job_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobArgs, Noop
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.worker.base import retry_delay, run_job
from huntaze.worker.leases import LeaseKeeper
from huntaze.worker.runtime import ProcessRuntime, Runtime
from tests.waiting import until
from tests.worker.conftest import NODE

Work = Callable[..., list[str]]


def enqueue(sessions: Sessions, **options: object) -> uuid.UUID:
    with sessions.begin() as session:
        return job_enqueue.enqueue(session, Noop(), **options).job.id  # type: ignore[arg-type]


def read(sessions: Sessions, job_id: uuid.UUID) -> Job:
    with sessions() as session:
        return session.get_one(Job, job_id)


def raising(error: Exception) -> Callable[[JobContext, JobArgs], None]:
    def handler(ctx: JobContext, args: JobArgs) -> None:
        raise error

    return handler


def test_a_handler_that_returns_has_succeeded(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)
    assert work() == ["succeeded"]
    assert read(sessions, job_id).state == JobState.SUCCEEDED


def test_the_same_message_twice_runs_once(sessions: Sessions, runtime: Runtime, work: Work) -> None:
    job_id = enqueue(sessions)
    assert work() == ["succeeded"]
    assert run_job(runtime, NODE, "noop", job_id) is None


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Permanent("media.no_video", "No picture."), "failed", "media.no_video"),
        (Transient("ai.unavailable", "Away.", 0), "waiting", "ai.unavailable"),
        (SoftTimeLimitExceeded(), "waiting", "job.timeout"),
        (ZeroDivisionError("secret detail"), "waiting", "job.error"),
    ],
)
def test_errors_decide_what_follows(sessions: Sessions, work: Work, error: Exception, state: str, code: str) -> None:
    job_id = enqueue(sessions)
    assert work(raising(error)) == [state]
    job = read(sessions, job_id)
    assert (job.state, job.error_code, job.errors) == (state, code, 1)
    assert "secret" not in (job.error_message or ""), "creators see this text"


def test_operators_get_the_traceback(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)
    work(raising(ZeroDivisionError("secret detail")))
    with sessions() as session:
        assert "ZeroDivisionError: secret detail" in job_store.attempts_of(session, job_id)[0]["error"]


def test_the_detail_of_an_error_is_kept_for_operators_alone(sessions: Sessions, work: Work) -> None:
    error = Permanent("ai.bad_answer", "It could not be used.")
    error.detail = "what came \0 back"
    job_id = enqueue(sessions)
    work(raising(error))
    with sessions() as session:
        assert job_store.attempts_of(session, job_id)[0]["error"] == "what came \\0 back"
    assert read(sessions, job_id).error_message == "It could not be used."


def test_a_job_stops_at_the_checkpoint_after_a_cancel(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        with sessions.begin() as session:
            job_store.cancel(session, job_id)
        ctx.progress(0.5, "half")
        raise AssertionError("went on after the checkpoint")

    assert work(handler) == ["cancelled"]


def test_who_lost_the_lease_changes_nothing(sessions: Sessions, work: Work, creator: User) -> None:
    job_id = enqueue(sessions, creator_id=creator.id)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        with sessions.begin() as session:
            session.get_one(Job, job_id).lease_until = job_store.db_now(session)
        with sessions.begin() as session:
            job_rescue.rescue(session)
        with ctx.finish() as finish:
            finish.emit("video.analyzed", job_id, {})

    assert work(handler) == ["lost"]
    job = read(sessions, job_id)
    assert (job.state, job.crashes, job.errors) == (JobState.WAITING, 1, 0)


def test_results_and_the_end_commit_together(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        with ctx.finish() as finish:
            finish.enqueue(Noop())
            raise ConnectionError("the transaction dies")

    assert work(handler) == ["waiting"]
    with sessions() as session:
        assert [job.id for job in job_reads.search(session)] == [job_id], "the follow-on was rolled back"


def test_progress_is_told_in_steps(sessions: Sessions, work: Work, creator: User) -> None:
    enqueue(sessions, creator_id=creator.id)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        for step in range(1000):
            ctx.progress(step / 1000, "count")
        ctx.progress(0.99, "tidy")

    work(handler)
    with sessions.begin() as session:
        event_store.place(session)
        told = [
            event.data["stage"]
            for event in event_store.read_after(session, creator.id, 0)
            if event.type == "job.progress"
        ]
    assert told[0] == "count"
    assert told[-1] == "tidy"
    assert len(told) < 10


def test_retry_after_is_honoured_and_backoff_grows_with_jitter() -> None:
    job = Job(kind="noop", errors=0)
    assert retry_delay(job, Transient("x.y", "z", 17.5)) == 17.5
    for errors, most in ((0, 2), (1, 4), (5, 64), (20, 600)):
        job.errors = errors
        delays = [retry_delay(job, ValueError()) for _ in range(200)]
        assert all(0 <= delay <= most for delay in delays)
        assert max(delays) > most / 2
        assert min(delays) < most / 2


def test_leases_are_renewed_while_the_handler_runs(sessions: Sessions, runtime: Runtime, work: Work) -> None:
    job_id = enqueue(sessions)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        before = read(sessions, job_id).lease_until
        runtime.leases.renew(dict(runtime.leases._held))
        after = read(sessions, job_id).lease_until
        assert before is not None
        assert after is not None
        assert after > before

    assert work(handler) == ["succeeded"]


def test_the_lease_keeper_outlives_whatever_the_database_says(runtime: Runtime, sessions: Sessions) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("cannot execute UPDATE in a read-only transaction")

    keeper = LeaseKeeper(broken, lease_s=0.05)  # type: ignore[arg-type]
    with keeper.hold(new_id(), 1) as lease:
        until(lambda: lease.lost, "the keeper to give up the lease")
        assert keeper._thread is not None
        assert keeper._thread.is_alive()


def test_a_failed_attempt_keeps_the_times_of_its_stages(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)

    def handler(ctx: JobContext, args: JobArgs) -> None:
        ctx.progress(0.1, "open")
        ctx.progress(0.5, "frames")
        raise Permanent("media.no_frames", "No picture.")

    work(handler)
    with sessions() as session:
        stages = job_store.attempts_of(session, job_id)[0]["stages"]
    assert [stage["name"] for stage in stages] == ["open", "frames"]


def test_trouble_of_the_ledger_itself_costs_no_attempt(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)
    assert work(raising(OperationalError("SELECT 1", {}, Exception("gone")))) == ["waiting"]
    assert read(sessions, job_id).errors == 0


def test_a_child_does_not_use_what_its_parent_opened(settings: Settings) -> None:
    process = ProcessRuntime(settings, threads=1)
    ours = process.get()
    assert process.get() is ours
    process._built = (0, ours)  # as a forked child finds it
    assert process.get() is not ours


class Renamed(Noop):
    """The noop of a later deploy, which calls its argument otherwise."""

    version: ClassVar[int] = 2
    label: str

    @classmethod
    def upgrade(cls, version: int, args: dict[str, Any]) -> dict[str, Any]:
        return {"label": args["name"]} if version == 1 else args


def test_a_row_of_the_previous_argument_version_is_run_by_the_new_code(sessions: Sessions, work: Work) -> None:
    job_id = enqueue(sessions)
    with sessions.begin() as session:
        session.get_one(Job, job_id).args = {"name": "old"}
    seen: list[JobArgs] = []
    before = KINDS["noop"]
    KINDS["noop"] = replace(before, args=Renamed)
    try:
        assert work(lambda ctx, args: seen.append(args)) == ["succeeded"]
    finally:
        KINDS["noop"] = before
    assert seen == [Renamed(label="old")]


def test_an_unreadable_row_is_retried_then_shelved_with_the_reason(
    sessions: Sessions, runtime: Runtime, work: Work
) -> None:
    job_id = enqueue(sessions)
    with sessions.begin() as session:
        session.get_one(Job, job_id).args = {"nonsense": 1}
    assert work() == ["waiting"]
    assert read(sessions, job_id).error_code == "job.error"
