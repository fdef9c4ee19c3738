"""One job a slot: however often it is fired, by however many, and whatever was missed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from huntaze.beat_schedule import SCHEDULE, Entry
from huntaze.models import job_reads, job_store, periodic_store
from huntaze.models.database import Sessions
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job, JobState
from huntaze.pipelines.periodic.slots import slots
from huntaze.worker.clock import fire
from huntaze.worker.runtime import Runtime
from tests.models.old_jobs import left, old_job

HOURLY_ALL = Entry("events.place", "0 * * * *", "all")
HOURLY_LATEST = Entry("events.place", "0 * * * *", "latest")


def now(sessions: Sessions) -> datetime:
    with sessions() as session:
        return job_store.db_now(session)


def last_fired(sessions: Sessions, entry: str, ago: timedelta) -> None:
    with sessions.begin() as session:
        periodic_store.lock(session, entry, first=job_store.db_now(session) - ago)


def jobs(sessions: Sessions) -> list[Job]:
    with sessions() as session:
        return job_reads.search(session, limit=1000)


def test_missed_slots_are_caught_up_by_rule(sessions: Sessions) -> None:
    last_fired(sessions, "every", timedelta(hours=3))
    last_fired(sessions, "newest", timedelta(hours=3))
    assert fire(sessions, "every", HOURLY_ALL) == 3
    assert fire(sessions, "newest", HOURLY_LATEST) == 1
    found = {job.dedupe_key: job.args["slot"] for job in jobs(sessions)}
    hour = now(sessions).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    wanted = {f"every@{(hour - timedelta(hours=back)).isoformat()}" for back in range(3)}
    assert set(found) == wanted | {f"newest@{hour.isoformat()}"}


def test_the_latest_slot_is_the_latest_after_however_long_an_outage(sessions: Sessions) -> None:
    last_fired(sessions, "minutely", timedelta(days=5))
    assert fire(sessions, "minutely", Entry("events.place", "* * * * *", "latest")) == 1
    minute = now(sessions).astimezone(UTC).replace(second=0, microsecond=0)
    assert jobs(sessions)[0].dedupe_key in {
        f"minutely@{slot.isoformat()}" for slot in (minute, minute - timedelta(minutes=1))
    }


def test_firing_twice_makes_no_second_job(sessions: Sessions) -> None:
    last_fired(sessions, "every", timedelta(hours=2))
    assert fire(sessions, "every", HOURLY_ALL) == 2
    assert fire(sessions, "every", HOURLY_ALL) == 0
    assert len(jobs(sessions)) == 2


def test_two_beats_at_once_make_one_job(sessions: Sessions) -> None:
    last_fired(sessions, "every", timedelta(hours=2))
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: fire(sessions, "every", HOURLY_ALL), range(8)))
    assert sum(counts) == 2
    assert len(jobs(sessions)) == 2


def test_a_new_entry_does_not_begin_with_the_past(sessions: Sessions) -> None:
    assert fire(sessions, "new", Entry("events.place", "0 0 1 1 *", "all")) == 0
    assert jobs(sessions) == []


def test_the_schedule_names_kinds_that_take_a_slot() -> None:
    for name, entry in SCHEDULE.items():
        assert "slot" in KINDS[entry.kind].args.model_fields, name
        assert list(slots(entry.cron, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC))), name


def test_ended_jobs_are_cleaned_by_the_schedule(
    sessions: Sessions, work: Callable[..., list[str]], runtime: Runtime
) -> None:
    old_job(sessions, JobState.SUCCEEDED, timedelta(days=8))
    kept = old_job(sessions, JobState.SUCCEEDED, timedelta(days=6))
    last_fired(sessions, "job-retention", timedelta(hours=2))
    assert fire(sessions, "job-retention") == 1
    assert work() == ["succeeded"]
    [mine] = left(sessions) - {kept}
    with sessions() as session:
        assert session.get_one(Job, mine).result == {
            "succeeded": 1,
            "failed": 0,
            "cancelled": 0,
            "batches": 0,
            "more": False,
        }
