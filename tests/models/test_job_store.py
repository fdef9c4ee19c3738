"""The life of a job, transition by transition."""

import uuid

import pytest
from sqlalchemy import text

from huntaze.models import job_claim, job_dispatch, job_enqueue, job_reads, job_rescue, job_settle, job_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_settle import AttemptEnd, CancelRequested, LeaseLost
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent

END = AttemptEnd(stages=[])
ERROR = AttemptEnd(stages=[], error_code="x.broken", error_message="It broke.", trace="Traceback ...")


def enqueue(sessions: Sessions, **options: object) -> uuid.UUID:
    with sessions.begin() as session:
        return job_enqueue.enqueue(session, Noop(), **options).job.id  # type: ignore[arg-type]


def dispatch(sessions: Sessions, room: int = 100) -> list[uuid.UUID]:
    with sessions.begin() as session:
        job_dispatch.promote(session)
        taken = job_dispatch.take_due(session, "default", room, {"noop": 1}, Turns())
        return [hint.job_id for hint in taken.hints]


def claim(sessions: Sessions, job_id: uuid.UUID, worker: str = "a/1", lease_s: float = 30) -> Job | None:
    with sessions.begin() as session:
        held = job_claim.claim(session, job_id, worker, lease_s)
        if held is None:
            return None
        job = session.get_one(Job, job_id)
        copied = ("id", "kind", "args", "args_version", "attempt", "errors", "priority", "creator_id", "subject_id")
        assert all(getattr(held, name) == getattr(job, name) for name in copied)
        assert held.waited_s >= 0
        return job


def running(sessions: Sessions, lease_s: float = 30, **options: object) -> Job:
    job_id = enqueue(sessions, **options)
    dispatch(sessions)
    job = claim(sessions, job_id, lease_s=lease_s)
    assert job is not None
    return job


def read(sessions: Sessions, job_id: uuid.UUID) -> Job:
    with sessions() as session:
        return session.get_one(Job, job_id)


def outcomes(sessions: Sessions, job_id: uuid.UUID) -> list[str | None]:
    with sessions() as session:
        return [attempt["outcome"] for attempt in job_store.attempts_of(session, job_id)]


def test_the_straight_way(sessions: Sessions) -> None:
    job = running(sessions)
    assert (job.state, job.attempt, job.worker) == (JobState.RUNNING, 1, "a/1")
    with sessions.begin() as session:
        job_settle.succeed(session, job.id, 1, AttemptEnd([{"name": "look", "seconds": 0.5}]))
        job_settle.save_result(session, job.id, {"n": 1})
    done = read(sessions, job.id)
    assert (done.state, done.progress, done.result, done.lease_until) == (JobState.SUCCEEDED, 1.0, {"n": 1}, None)
    assert outcomes(sessions, job.id) == ["succeeded"]


def test_a_duplicate_message_finds_nothing(sessions: Sessions) -> None:
    job = running(sessions)
    assert claim(sessions, job.id) is None


def test_a_job_that_is_not_due_stays(sessions: Sessions) -> None:
    with sessions.begin() as session:
        later = session.execute(text("SELECT now() + interval '1 hour'")).scalar_one()
    enqueue(sessions, run_at=later)
    assert dispatch(sessions) == []


def test_the_fence_stops_who_lost_the_lease(sessions: Sessions) -> None:
    job = running(sessions, lease_s=0)
    with sessions.begin() as session:
        assert [rescued.id for rescued in job_rescue.rescue(session)] == [job.id]
    dispatch(sessions)
    again = claim(sessions, job.id, "b/1")
    assert again is not None
    assert (again.attempt, again.crashes) == (2, 1)
    with pytest.raises(LeaseLost), sessions.begin() as session:
        job_settle.succeed(session, job.id, 1, END)
    with sessions.begin() as session:
        assert not job_settle.report_progress(session, job.id, 1, 0.5, "look")
        assert job_settle.renew(session, {job.id: 1}, 30) == {}
        assert job_settle.renew(session, {job.id: 2}, 30) == {job.id: False}
    with sessions.begin() as session:
        job_settle.succeed(session, job.id, 2, END)
    assert outcomes(sessions, job.id) == ["crashed", "succeeded"]


def test_a_live_lease_is_left_alone(sessions: Sessions) -> None:
    running(sessions, lease_s=30)
    with sessions.begin() as session:
        assert job_rescue.rescue(session) == []


def test_a_node_ends_the_leases_of_its_dead_processes_only(sessions: Sessions) -> None:
    dead, alive, other = enqueue(sessions), enqueue(sessions), enqueue(sessions)
    dispatch(sessions)
    for job_id, worker in ((dead, "node/12.1"), (alive, "node/123.1"), (other, "nodes/12.1")):
        claim(sessions, job_id, worker)
    with sessions.begin() as session:
        expired = [job_rescue.expire(session, job_id, "node", [123]) for job_id in (dead, alive, other)]
        assert expired == [True, False, False]
    with sessions.begin() as session:
        assert [job.id for job in job_rescue.rescue(session)] == [dead]


def test_the_third_crash_shelves(sessions: Sessions) -> None:
    job = running(sessions, lease_s=0)
    for _ in range(2):
        with sessions.begin() as session:
            job_rescue.rescue(session)
        dispatch(sessions)
        claim(sessions, job.id, lease_s=0)
    with sessions.begin() as session:
        job_rescue.rescue(session)
    shelved = read(sessions, job.id)
    assert (shelved.state, shelved.error_code, shelved.crashes) == (JobState.FAILED, "crashed", 3)
    assert outcomes(sessions, job.id) == ["crashed"] * 3


def test_errors_are_retried_at_run_at_until_the_attempts_are_used_up(sessions: Sessions) -> None:
    job = running(sessions)
    for attempt in range(1, job.max_attempts):
        with sessions.begin() as session:
            waiting = job_settle.retry_later(session, job.id, attempt, ERROR, 0)
        assert (waiting.state, waiting.errors, waiting.error_code) == (JobState.WAITING, attempt, "x.broken")
        assert dispatch(sessions) == [job.id]
        claim(sessions, job.id)
    with sessions.begin() as session:
        last = job_settle.retry_later(session, job.id, job.max_attempts, ERROR, 0)
    assert (last.state, last.error_message) == (JobState.FAILED, "It broke.")
    assert outcomes(sessions, job.id) == ["retried"] * (job.max_attempts - 1) + ["failed"]


def test_a_retry_waits_for_its_time(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        job_settle.retry_later(session, job.id, 1, ERROR, 60)
    assert dispatch(sessions) == []


def test_a_permanent_error_goes_to_the_shelf_and_a_replay_revives_it(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        job_settle.fail(session, job.id, 1, ERROR)
    assert read(sessions, job.id).state == JobState.FAILED
    with sessions.begin() as session:
        revived = job_store.replay(session, job.id)
    assert revived is not None
    assert (revived.state, revived.errors, revived.error_code, revived.finished_at) == (JobState.WAITING, 0, None, None)
    assert dispatch(sessions) == [job.id]
    again = claim(sessions, job.id)
    assert again is not None
    assert again.attempt == 2, "the fencing token never goes down"


def test_only_the_shelf_is_replayed(sessions: Sessions) -> None:
    job_id = enqueue(sessions)
    with sessions.begin() as session, pytest.raises(Permanent, match="not_failed"):
        job_store.replay(session, job_id)


def test_a_snooze_costs_nothing(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        snoozed = job_settle.snooze(session, job.id, 1, END, 3600)
    assert (snoozed.state, snoozed.errors, snoozed.crashes) == (JobState.WAITING, 0, 0)
    assert dispatch(sessions) == []
    assert outcomes(sessions, job.id) == ["snoozed"]


def test_arguments_that_are_too_new_are_left_to_those_who_know_them(sessions: Sessions) -> None:
    job_id = enqueue(sessions)
    dispatch(sessions)
    with sessions.begin() as session:
        session.get_one(Job, job_id).args_version = 2
    assert claim(sessions, job_id) is None
    with sessions.begin() as session:
        assert job_claim.decline(session, job_id, version=1)
        assert not job_claim.decline(session, job_id, version=1)
    declined = read(sessions, job_id)
    assert (declined.state, declined.ready, declined.attempt) == (JobState.WAITING, False, 0)
    assert dispatch(sessions) == []


def test_hand_back_costs_nothing_and_fences(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        assert job_settle.hand_back(session, "b") == []
        assert job_settle.hand_back(session, "a") == [job.id]
    back = read(sessions, job.id)
    assert (back.state, back.errors, back.crashes) == (JobState.WAITING, 0, 0)
    with pytest.raises(LeaseLost), sessions.begin() as session:
        job_settle.succeed(session, job.id, 1, END)
    assert dispatch(sessions) == [job.id]
    assert outcomes(sessions, job.id) == ["handed_back"]


@pytest.mark.parametrize("queued", [False, True])
def test_cancel_before_it_runs(sessions: Sessions, queued: bool) -> None:
    job_id = enqueue(sessions)
    if queued:
        dispatch(sessions)
    with sessions.begin() as session:
        cancelled = job_store.cancel(session, job_id)
    assert cancelled is not None
    assert cancelled.state == JobState.CANCELLED
    assert claim(sessions, job_id) is None


def test_cancel_while_it_runs_is_seen_by_the_holder(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        job_store.cancel(session, job.id)
    assert read(sessions, job.id).state == JobState.RUNNING
    with sessions.begin() as session:
        assert job_settle.renew(session, {job.id: 1}, 30) == {job.id: True}
        job_settle.stop_cancelled(session, job.id, 1, END)
    assert read(sessions, job.id).state == JobState.CANCELLED


def test_a_cancel_is_obeyed_however_the_attempt_ends(sessions: Sessions) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        job_store.cancel(session, job.id)
    with pytest.raises(CancelRequested), sessions.begin() as session:
        job_settle.succeed(session, job.id, 1, END)
    assert read(sessions, job.id).state == JobState.RUNNING, "nothing of the success was kept"
    with sessions.begin() as session:
        ended = job_settle.retry_later(session, job.id, 1, ERROR, 3600)
    assert ended.state == JobState.CANCELLED, "and not in an hour"


@pytest.mark.parametrize("way", ["snooze", "hand_back"])
def test_a_cancelled_job_is_not_put_back(sessions: Sessions, way: str) -> None:
    job = running(sessions)
    with sessions.begin() as session:
        job_store.cancel(session, job.id)
    with sessions.begin() as session:
        if way == "snooze":
            job_settle.snooze(session, job.id, 1, END, 3600)
        else:
            job_settle.hand_back(session, "a")
    assert read(sessions, job.id).state == JobState.CANCELLED


def test_a_node_hands_back_only_its_own(sessions: Sessions) -> None:
    job = running(sessions)  # held by a/1
    with sessions.begin() as session:
        session.get_one(Job, job.id).worker = "ab/1"
    with sessions.begin() as session:
        assert job_settle.hand_back(session, "a") == []


def test_what_an_error_says_can_always_be_stored(sessions: Sessions) -> None:
    job = running(sessions)
    nasty = AttemptEnd(stages=[], error_code="x.y", error_message="m", trace="nul \0 and half \ud800 a pair")
    with sessions.begin() as session:
        job_settle.retry_later(session, job.id, 1, nasty, 0)
    with sessions() as session:
        assert job_store.attempts_of(session, job.id)[0]["error"] == "nul \\0 and half \\ud800 a pair"


def test_a_crash_after_a_cancel_ends_cancelled(sessions: Sessions) -> None:
    job = running(sessions, lease_s=0)
    with sessions.begin() as session:
        job_store.cancel(session, job.id)
    with sessions.begin() as session:
        job_rescue.rescue(session)
    assert read(sessions, job.id).state == JobState.CANCELLED


def test_a_lost_hint_is_sent_again(sessions: Sessions) -> None:
    job_id = enqueue(sessions)
    dispatch(sessions)
    with sessions.begin() as session:
        assert job_dispatch.take_overdue(session, "default", 60) == []
        assert [hint.job_id for hint in job_dispatch.take_overdue(session, "default", 0)] == [job_id]


def test_a_dedupe_key_stands_for_one_request(sessions: Sessions) -> None:
    with sessions.begin() as session:
        first = job_enqueue.enqueue(session, Noop(), dedupe_key="k", fingerprint="f")
    with sessions.begin() as session:
        second = job_enqueue.enqueue(session, Noop(), dedupe_key="k", fingerprint="f")
    assert (first.created, second.created) == (True, False)
    assert first.job.id == second.job.id
    with sessions.begin() as session, pytest.raises(job_enqueue.KeyReused):
        job_enqueue.enqueue(session, Noop(), dedupe_key="k", fingerprint="another")


def test_another_creators_job_does_not_exist(sessions: Sessions, creator: User) -> None:
    job_id = enqueue(sessions, creator_id=creator.id)
    stranger = uuid.uuid4()
    with sessions.begin() as session:
        assert job_store.get(session, job_id, stranger) is None
        assert job_store.cancel(session, job_id, stranger) is None
        assert job_store.replay(session, job_id, stranger) is None
        assert job_reads.search(session, creator_id=stranger) == []
        assert [job.id for job in job_reads.search(session, creator_id=creator.id)] == [job_id]


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE jobs SET state = 'running'",
        "UPDATE jobs SET state = 'succeeded'",
        "UPDATE jobs SET state = 'resting'",
        "UPDATE jobs SET finished_at = now()",
        "UPDATE jobs SET state = 'failed', finished_at = now()",
        "UPDATE jobs SET progress = 1.5",
    ],
)
def test_the_database_holds_the_invariants(sessions: Sessions, broken: str) -> None:
    enqueue(sessions)
    with sessions() as session, pytest.raises(Exception, match="violates check constraint"):
        session.execute(text(broken))
