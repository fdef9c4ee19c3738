"""What is past its time goes, and nothing else; a small batch a turn, by the index."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text, update

from huntaze.models.base import new_id
from huntaze.models.batches import Batch
from huntaze.models.database import Sessions
from huntaze.models.job_retention import ROWS, Sweep, count_jobs, cutoffs
from huntaze.models.jobs import ENDED, LIVE, Job, JobState
from huntaze.setting_groups import RetentionSettings
from tests.models.old_jobs import attempts_left, left, many_old_jobs, now, old_job

POLICY = RetentionSettings(succeeded_days=7, cancelled_days=8, failed_days=30)
DAYS = {JobState.SUCCEEDED: 7, JobState.CANCELLED: 8, JobState.FAILED: 30}
MINUTE = timedelta(minutes=1)


def sweep(sessions: Sessions) -> dict[str, int]:
    done = Sweep(cutoffs(POLICY, now(sessions)))
    while done.more:
        with sessions.begin() as session:
            done.turn(session)
    return dict(done.removed)


def batch(sessions: Sessions, ended: timedelta | None) -> uuid.UUID:
    with sessions.begin() as session:
        counts = (
            {} if ended is None else {"ended_at": now(sessions) - ended, "succeeded": 1, "failed": 0, "cancelled": 0}
        )
        session.add(made := Batch(id=new_id(), total=1, **counts))
    return made.id


@pytest.mark.parametrize("state", ENDED)
def test_an_ended_job_goes_when_its_days_are_over(sessions: Sessions, state: JobState) -> None:
    old_job(sessions, state, timedelta(days=DAYS[state]) + MINUTE)
    young = old_job(sessions, state, timedelta(days=DAYS[state]) - MINUTE)
    assert sweep(sessions) == {"succeeded": 0, "failed": 0, "cancelled": 0, "batches": 0} | {state: 1}
    assert left(sessions) == {young}
    assert attempts_left(sessions) == 1, "and its attempts with it"


@pytest.mark.parametrize("state", LIVE)
def test_a_live_job_never_goes(sessions: Sessions, state: JobState) -> None:
    job = old_job(sessions, state, timedelta(days=4000))
    sweep(sessions)
    assert left(sessions) == {job}


def test_a_batch_that_is_open_keeps_its_jobs_and_goes_after_them(sessions: Sessions) -> None:
    open, closed = batch(sessions, None), batch(sessions, timedelta(days=10))
    kept = old_job(sessions, JobState.SUCCEEDED, timedelta(days=20), batch_id=open)
    failed = old_job(sessions, JobState.FAILED, timedelta(days=20), batch_id=closed)
    old_job(sessions, JobState.SUCCEEDED, timedelta(days=20), batch_id=closed)
    assert sweep(sessions) == {"succeeded": 1, "failed": 0, "cancelled": 0, "batches": 0}
    assert left(sessions) == {kept, failed}, "the open one counts its jobs at its end; the other still has a job"
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == failed).values(finished_at=now(sessions) - timedelta(days=31)))
    assert sweep(sessions) == {"succeeded": 0, "failed": 1, "cancelled": 0, "batches": 1}
    with sessions() as session:
        assert list(session.scalars(select(Batch.id))) == [open]


def test_a_batch_that_ended_lately_stays_without_jobs(sessions: Sessions) -> None:
    batch(sessions, timedelta(days=6))
    assert sweep(sessions)["batches"] == 0


def test_a_success_that_holds_a_unique_key_stays_until_its_period_is_over(sessions: Sessions) -> None:
    held = {"unique_key": "a", "unique_until": now(sessions) + timedelta(hours=1)}
    over = {"unique_key": "b", "unique_until": now(sessions) - MINUTE}
    kept = old_job(sessions, JobState.SUCCEEDED, timedelta(days=20), **held)
    old_job(sessions, JobState.SUCCEEDED, timedelta(days=20), **over)
    assert sweep(sessions)["succeeded"] == 1
    assert left(sessions) == {kept}


def test_a_row_that_is_being_replayed_is_passed_over(sessions: Sessions) -> None:
    replayed = old_job(sessions, JobState.FAILED, timedelta(days=40))
    old_job(sessions, JobState.FAILED, timedelta(days=40))
    with sessions.begin() as session:
        session.execute(select(Job).where(Job.id == replayed).with_for_update())
        assert sweep(sessions)["failed"] == 1, "without waiting for its lock"
    assert left(sessions) == {replayed}


def test_turns_are_small_and_states_take_them_in_turn(sessions: Sessions) -> None:
    many_old_jobs(sessions, 2 * ROWS + 1, JobState.SUCCEEDED, timedelta(days=8))
    many_old_jobs(sessions, ROWS, JobState.FAILED, timedelta(days=31))
    done, steps = Sweep(cutoffs(POLICY, now(sessions))), []
    while done.more:
        before = dict(done.removed)
        with sessions.begin() as session:
            done.turn(session)
        steps += [(of, done.removed[of] - before[of]) for of in before if done.removed[of] != before[of]]
    assert steps == [("succeeded", ROWS), ("failed", ROWS), ("succeeded", ROWS), ("succeeded", 1)]
    assert left(sessions) == set()


def test_rows_that_are_kept_are_not_walked_over_each_turn(sessions: Sessions) -> None:
    """The oldest stay: each turn must begin where the last one ended."""
    open = batch(sessions, None)
    many_old_jobs(sessions, ROWS, JobState.SUCCEEDED, timedelta(days=9))
    with sessions.begin() as session:
        session.execute(update(Job).values(batch_id=open))
    many_old_jobs(sessions, ROWS + 1, JobState.SUCCEEDED, timedelta(days=8))
    done, starts = Sweep({JobState.SUCCEEDED: now(sessions) - timedelta(days=7)}), []
    engine = sessions.kw["bind"]

    def note(*call: object) -> None:
        starts.append(call[3]["after"])  # type: ignore[index]

    event.listen(engine, "before_cursor_execute", note)
    for _ in range(2):
        with sessions.begin() as session:
            done.turn(session)
    event.remove(engine, "before_cursor_execute", note)
    assert starts[0] < now(sessions) - timedelta(days=9) < starts[1]
    assert len(left(sessions)) == ROWS


@dataclass(frozen=True)
class Case:
    state: JobState
    hours: int
    batch: str | None
    unique_h: int | None

    @property
    def goes(self) -> bool:
        old = self.state in DAYS and self.hours > DAYS[self.state] * 24
        return old and self.batch != "open" and (self.unique_h is None or self.unique_h < 0)


CASES = st.builds(
    Case,
    state=st.sampled_from(JobState),
    hours=st.sampled_from([1, 167, 169, 191, 193, 719, 721]),
    batch=st.sampled_from([None, "open", "closed"]),
    unique_h=st.sampled_from([None, -1, 1]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CASES, max_size=8))
def test_exactly_what_is_past_its_time_goes(sessions: Sessions, cases: list[Case]) -> None:
    with sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, job_attempts, batches"))
    batches = {None: None, "open": batch(sessions, None), "closed": batch(sessions, timedelta(hours=1))}
    kept = set()
    for case in cases:
        until = None if case.unique_h is None else now(sessions) + timedelta(hours=case.unique_h)
        columns = {"batch_id": batches[case.batch], "unique_key": until and str(new_id()), "unique_until": until}
        job = old_job(sessions, case.state, timedelta(hours=case.hours), **columns)
        if not case.goes:
            kept.add(job)
    with sessions() as session:
        counted = sum(count_jobs(session, *one) for one in cutoffs(POLICY, now(sessions)).items())
    removed = sweep(sessions)
    assert left(sessions) == kept
    assert counted == sum(removed.values()) == len(cases) - len(kept)


def test_a_turn_goes_by_the_index(sessions: Sessions) -> None:
    many_old_jobs(sessions, 20_000, JobState.SUCCEEDED, timedelta(days=1))
    many_old_jobs(sessions, 600, JobState.SUCCEEDED, timedelta(days=8))
    with sessions.begin() as session:
        session.execute(text("ANALYZE jobs"))
    asked: list[tuple[str, object]] = []
    engine = sessions.kw["bind"]

    def note(*call: object) -> None:
        asked.append((str(call[2]), call[3]))

    event.listen(engine, "before_cursor_execute", note)
    with sessions.begin() as session:
        Sweep(cutoffs(POLICY, now(sessions))).turn(session)
    event.remove(engine, "before_cursor_execute", note)
    [(statement, given)] = [one for one in asked if "DELETE" in one[0]]
    with sessions() as session:
        plan = "\n".join(session.connection().exec_driver_sql(f"EXPLAIN {statement}", given).scalars())  # type: ignore[arg-type]
    assert "ix_jobs_ended" in plan
    assert "Seq Scan on jobs" not in plan
