"""Searches find what a plain look through all rows finds, by indexes, and in spite of wrong clocks."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text, update

from huntaze.models import job_enqueue, job_reads, user_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import EventsPlace, JobArgs, Noop
from huntaze.models.job_reads import CLOCK_SKEW
from huntaze.models.jobs import ENDED, Job, JobState
from huntaze.models.users import User
from tests.models.old_jobs import many_old_jobs, now

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = st.integers(-5, 5)


def search(sessions: Sessions, **wanted: Any) -> list[uuid.UUID]:
    with sessions() as session:
        return [job.id for job in job_reads.search(session, **wanted)]


def id_at(moment: datetime) -> uuid.UUID:
    """As a node whose clock shows this moment makes it."""
    return uuid.UUID(int=(int(moment.timestamp() * 1000) << 80) | (uuid.uuid4().int & (1 << 76) - 1) | 7 << 76)


@dataclass(frozen=True)
class Row:
    state: JobState
    periodic: bool
    code: str | None
    at_s: int  # created, from noon
    skew_s: float  # by how much the clock of its node is wrong
    owned: bool


ROWS = st.builds(
    Row,
    state=st.sampled_from(JobState),
    periodic=st.booleans(),
    code=st.sampled_from([None, "x.a", "x.b"]),
    at_s=SECONDS,
    skew_s=st.sampled_from([0, 0, 3, -3, CLOCK_SKEW.total_seconds() - 1, 1 - CLOCK_SKEW.total_seconds()]),
    owned=st.booleans(),
)
WANTED = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(JobState),
        "kind": st.sampled_from(["noop", "events.place", "no.such"]),
        "error_code": st.sampled_from(["x.a", "x.b"]),
        "created_after": SECONDS,
        "created_before": SECONDS,
    },
)


def insert(sessions: Sessions, row: Row, creator: User) -> None:
    args: JobArgs = EventsPlace(slot=NOON) if row.periodic else Noop()
    created = NOON + timedelta(seconds=row.at_s)
    values: dict[str, Any] = {"created_at": created, "state": row.state, "error_code": row.code, "queued_at": created}
    values["id"] = id_at(created + timedelta(seconds=row.skew_s))
    if row.state in ENDED:
        values["finished_at"] = created
    if row.state == JobState.FAILED:
        values["error_code"] = row.code or "x.a"
    if row.state == JobState.RUNNING:
        values["lease_until"] = created
    owner = creator.id if row.owned and not row.periodic else None  # the clock's jobs are nobody's
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, args, creator_id=owner).job
        session.execute(update(Job).where(Job.id == job.id).values(**values, ready=row.at_s % 2 == 0))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=8), wanted=WANTED, mine=st.booleans())
def test_a_search_finds_what_a_look_through_all_finds(
    sessions: Sessions, creator: User, rows: list[Row], wanted: dict[str, Any], mine: bool
) -> None:
    with sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, job_attempts"))
    for row in rows:
        insert(sessions, row, creator)
    bounds = {n: NOON + timedelta(seconds=v) for n, v in wanted.items() if n.startswith("created")}
    with sessions() as session:
        every = sorted(session.scalars(select(Job)), key=lambda job: job.id, reverse=True)
    expected = [
        job.id
        for job in every
        if all(getattr(job, name) == value for name, value in wanted.items() if name not in bounds)
        and bounds.get("created_after", job.created_at) <= job.created_at
        and job.created_at < bounds.get("created_before", job.created_at + timedelta(seconds=1))
        and (not mine or job.creator_id == creator.id)
    ]
    scope = {"creator_id": creator.id} if mine else {}
    assert search(sessions, **wanted | bounds | scope) == expected


def test_ranges_that_touch_share_no_job(sessions: Sessions, creator: User) -> None:
    for second in range(3):
        insert(sessions, Row(JobState.QUEUED, False, None, second, 0, False), creator)
    every = search(sessions)
    middle = NOON + timedelta(seconds=1)
    assert search(sessions, created_after=middle) == every[:2]
    assert search(sessions, created_before=middle) == every[2:]


@pytest.mark.parametrize("hours", [-14, 14])
def test_no_moment_is_too_far_away(sessions: Sessions, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    first, last = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, Noop()).job.id
    assert search(sessions, created_after=first, created_before=last) == [job]
    assert search(sessions, created_before=first) == search(sessions, created_after=last) == []


@pytest.fixture
def history(sessions: Sessions, creator: User) -> User:
    """20,000 successes, all of another creator's; of everything else a few, and old."""
    with sessions.begin() as session:
        other = user_store.ensure_user(session, "other")
    for state in (JobState.FAILED, JobState.CANCELLED):
        many_old_jobs(sessions, 20, state, timedelta(days=20))
    for row in (Row(JobState.WAITING, False, None, 0, 0, False), Row(JobState.RUNNING, True, None, 1, 0, False)):
        insert(sessions, row, creator)
    many_old_jobs(sessions, 20_000, JobState.SUCCEEDED, timedelta(days=2))
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.state == JobState.SUCCEEDED).values(error_code=None, creator_id=other.id))
        session.execute(text("ANALYZE jobs"))
    return creator


@pytest.mark.parametrize(
    "wanted",
    [
        {"state": JobState.FAILED},
        {"state": JobState.CANCELLED},
        {"state": JobState.WAITING},
        {"state": JobState.QUEUED},
        {"state": JobState.RUNNING},
        {"error_code": "x.broken"},
        {"error_code": "x.none"},
        {"kind": "events.place"},
        {"created_before": timedelta(days=10)},
        {"created_after": timedelta(hours=1)},
        {"creator_id": None},
        {"creator_id": None, "state": JobState.FAILED},
    ],
    ids=str,
)
def test_what_is_rare_is_found_without_looking_at_all(
    sessions: Sessions, history: User, wanted: dict[str, Any]
) -> None:
    given = {n: now(sessions) - v if isinstance(v, timedelta) else v for n, v in wanted.items()}
    if "creator_id" in given:
        given["creator_id"] = history.id
    asked: list[tuple[Any, Any]] = []
    engine = sessions.kw["bind"]

    def note(*call: Any) -> None:
        asked.append((call[2], call[3]))

    event.listen(engine, "before_cursor_execute", note)
    search(sessions, **given)
    event.remove(engine, "before_cursor_execute", note)
    statement, parameters = asked[-1]
    with sessions() as session:
        explained = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        plan = explained.scalar_one()[0]["Plan"]
    assert touched(plan) < 500, plan


def touched(plan: dict[str, Any]) -> float:
    """How many rows were read."""
    here = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0) + plan["Actual Rows"]
    return float(here * plan["Actual Loops"] + sum(touched(part) for part in plan.get("Plans", [])))
