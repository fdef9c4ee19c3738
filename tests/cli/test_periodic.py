"""The schedule by hand: what is late is told, a slot runs once, a range is made up for."""

import io
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from sqlalchemy import delete, text, update

from huntaze.beat_schedule import SCHEDULE, Entry
from huntaze.cli import output, periodic
from huntaze.models import job_reads, periodic_store
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job, JobState
from huntaze.models.periodic import PeriodicEntry
from huntaze.pipelines.periodic.slots import latest_slot, slots_between
from huntaze.worker.clock import fire
from tests.cli.conftest import Run
from tests.models.old_jobs import now

HOURLY = Entry("events.place", "0 * * * *", "all")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def hourly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(SCHEDULE):
        monkeypatch.delitem(SCHEDULE, name)
    monkeypatch.setitem(SCHEDULE, "hourly", HOURLY)


def keys(sessions: Sessions) -> list[str | None]:
    with sessions() as session:
        return sorted((job.dedupe_key for job in job_reads.search(session, limit=1000)), key=str)


def clock_at(sessions: Sessions, slot: datetime) -> None:
    with sessions.begin() as session:
        session.execute(delete(PeriodicEntry))
        periodic_store.lock(session, "hourly", first=slot)


def clock(sessions: Sessions) -> datetime | None:
    with sessions() as session:
        return periodic_store.last_slots(session).get("hourly")


def this_hour(sessions: Sessions) -> datetime:
    return now(sessions).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def shown(run: Run, *arguments: object) -> Any:
    result = run("periodic", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_entry_that_is_on_time_shows_its_last_job_and_next_slot(run: Run, sessions: Sessions) -> None:
    clock_at(sessions, this_hour(sessions) - HOUR)
    assert fire(sessions, "hourly") == 1
    [one] = shown(run, "list")
    assert (one["entry"], one["kind"], one["cron"], one["catch_up"]) == ("hourly", "events.place", "0 * * * *", "all")
    assert datetime.fromisoformat(one["next_slot"]) - datetime.fromisoformat(one["last_slot"]) == HOUR
    assert (one["job_state"], one["late_s"]) == ("waiting", None)


@pytest.mark.parametrize("width", [80, 140])
def test_a_narrow_table_leaves_out_what_it_could_only_show_in_part(
    run: Run, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    clock_at(sessions, this_hour(sessions) - HOUR)
    fire(sessions, "hourly")
    [facts] = shown(run, "list")
    text = io.StringIO()
    for module in (output, periodic):
        monkeypatch.setattr(module, "out", Console(file=text, width=width, color_system=None))
    run("periodic", "list")
    header, line = text.getvalue().splitlines()
    assert all(word in line for word in ("hourly", facts["last_slot"][11:16], "waiting", facts["next_slot"][11:16]))
    assert (facts["job_id"] in line) == ("kind" in header) == (width > 120)
    assert ("…" in line, facts["job_id"][:8] in line) == (False, width > 120)


def test_a_slot_without_a_job_is_late_until_it_has_one(run: Run, sessions: Sessions, objects: object) -> None:
    due = this_hour(sessions) - 2 * HOUR
    clock_at(sessions, due - HOUR)
    [one] = shown(run, "list")
    assert datetime.fromisoformat(one["late_slot"]) == due
    assert one["late_s"] >= 7200
    assert "2 h late" in run("periodic", "list").stdout
    [told] = [one for one in json.loads(run("doctor", "--json").stdout) if one["check"] == "schedule"]
    assert (told["ok"], told["warning"]) == (False, True)
    assert told["detail"].startswith(f"hourly is 2 h late: no job for {due:%Y-%m-%dT%H}:00Z")
    shown(run, "run", "hourly", "--slot", due.isoformat())
    assert datetime.fromisoformat(shown(run, "list")[0]["late_slot"]) == due + HOUR
    fire(sessions, "hourly")
    assert shown(run, "list")[0]["late_slot"] is None
    [told] = [one for one in json.loads(run("doctor", "--json").stdout) if one["check"] == "schedule"]
    assert told["ok"]


def test_the_clocks_own_minutes_are_not_late(run: Run, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULE, "hourly", Entry("events.place", "* * * * *", "latest"))
    clock_at(sessions, now(sessions) - timedelta(minutes=4))
    assert shown(run, "list")[0]["late_slot"] is None
    clock_at(sessions, now(sessions) - timedelta(minutes=7))
    assert shown(run, "list")[0]["late_s"] >= 300


def test_an_entry_that_no_clock_has_seen_is_told(run: Run, sessions: Sessions, objects: object) -> None:
    assert shown(run, "list")[0]["last_slot"] is None
    assert "never" in run("periodic", "list").stdout
    assert "every slot that is due has its job" in run("doctor").stdout, "a fleet that has just started is not late"


def test_the_latest_slot_runs_once_and_again_if_asked(run: Run, sessions: Sessions) -> None:
    first = shown(run, "run", "hourly")
    assert (first["created"], first["state"]) == (True, "waiting")
    second = run("periodic", "run", "hourly")
    assert second.exit_code == 0
    assert f"has its job already: {first['job_id']} (waiting). --again runs it once more." in second.stdout
    assert shown(run, "run", "hourly", "--slot", first["slot"])["created"] is False
    assert [shown(run, "run", "hourly", "--again")["dedupe_key"] for _ in range(2)] == [
        f"{first['dedupe_key']}#2",
        f"{first['dedupe_key']}#3",
    ]
    with sessions() as session:
        assert {job.args["slot"] for job in job_reads.search(session)} == {
            f"{first['slot'][:10]}T{first['slot'][11:19]}Z"
        }
    assert clock(sessions) is None, "and the clock's own position is its own"


def test_again_of_a_slot_without_a_job_is_its_first(run: Run, sessions: Sessions) -> None:
    made = shown(run, "run", "hourly", "--again")
    assert "#" not in made["dedupe_key"]


def test_the_clock_makes_no_second_job_of_a_slot_run_by_hand(run: Run, sessions: Sessions) -> None:
    clock_at(sessions, this_hour(sessions) - HOUR)
    shown(run, "run", "hourly")
    assert fire(sessions, "hourly") == 0
    assert len(keys(sessions)) == 1


def test_a_slot_in_another_zone_is_the_same_slot(run: Run, sessions: Sessions) -> None:
    for slot in ("2026-03-01T10:00Z", "2026-03-01 12:00+02:00", "2026-03-01T10:00"):
        shown(run, "run", "hourly", "--slot", slot)
    assert keys(sessions) == ["hourly@2026-03-01T10:00:00+00:00"]
    elsewhere = datetime.fromisoformat("2026-03-01T12:00:00+02:00")
    assert [periodic_store.slot_key("hourly", elsewhere)] == keys(sessions)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("run", "hourly", "--slot", "2026-03-01T10:20Z"),
            "2026-03-01T10:20Z is no slot of hourly (0 * * * *, UTC). "
            "The nearest are 2026-03-01T10:00Z and 2026-03-01T11:00Z.",
        ),
        (("run", "hourly", "--slot", "2090-03-01T10:00Z"), "The slot 2090-03-01T10:00Z has not come yet; it is "),
        (("run", "hourly", "--slot", "noon"), "--slot noon is no time. Give it as 2026-11-22T10:00Z"),
        (("run", "hourly", "--slot", "0001-01-01T00:00+10:00"), "--slot 0001-01-01T00:00+10:00 is no time."),
        (("run", "hourly", "--slot", "1200-01-01"), "--slot 1200-01-01: the year must be from 1970 to 2100."),
        (("run", "daily"), "There is no entry daily; there are: hourly."),
        (("backfill", "hourly", "--from", "2026-01-02", "--to", "2026-01-02"), "--from must be before --to."),
        (("backfill", "hourly", "--from", "2026-01-01", "--to", "2090-01-01"), "has not come yet; it is "),
        (
            ("backfill", "hourly", "--from", "2020-01-01", "--to", "2022-01-01"),
            "hourly (0 * * * *) has 17544 slots in this range; 10000 at a time are the most.",
        ),
    ],
)
def test_a_wrong_wish_is_refused_in_a_sentence(
    run: Run, sessions: Sessions, arguments: tuple[str, ...], told: str
) -> None:
    result = run("periodic", *arguments)
    assert result.exit_code in (1, 2)
    assert told in result.stderr
    assert keys(sessions) == []


def test_a_range_is_made_up_for_once(run: Run, sessions: Sessions) -> None:
    shown(run, "run", "hourly", "--slot", "2026-03-01T10:00Z")
    asked = ("backfill", "hourly", "--from", "2026-03-01T09:30Z", "--to", "2026-03-01T12:00Z")
    assert shown(run, *asked, "--dry-run")["missing"] == 1
    assert len(keys(sessions)) == 1
    result = run("periodic", *asked)
    assert result.stdout == "1 job made; 1 of 2 slots had one\n"
    assert "2 of 2 slots" in result.stderr
    assert "Jobs that ended more than 7 days ago may have been removed" in result.stderr
    assert shown(run, *asked)["made"] == 0
    assert keys(sessions) == [f"hourly@2026-03-01T{hour}:00:00+00:00" for hour in (10, 11)]
    assert clock(sessions) is None


def test_what_is_made_up_for_goes_behind_what_is_due(run: Run, sessions: Sessions) -> None:
    shown(run, "backfill", "hourly", "--from", "2026-03-01", "--to", "2026-03-02")
    live = shown(run, "run", "hourly")
    with sessions() as session:
        found = job_reads.search(session, limit=100)
    assert {job.priority for job in found if str(job.id) != live["job_id"]} == {10}
    assert min(found, key=lambda job: job.priority).dedupe_key == live["dedupe_key"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "_CHUNK", 3)


START = datetime(2026, 2, 27, 22, 10, tzinfo=UTC)
MINUTES = st.integers(0, 4000)
CRONS = st.sampled_from(["*/45 * * * *", "0 * * * *", "30 2 * * *", "10 22,23 * * FRI"])


class Broken(Exception):
    """The command was killed."""


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    CRONS,
    st.tuples(MINUTES, MINUTES).map(sorted).filter(lambda pair: pair[0] < pair[1]),
    st.lists(MINUTES, max_size=3),
    st.lists(st.integers(1, 12), max_size=2),
)
def test_a_backfill_gives_each_slot_of_the_range_its_job_once(
    run: Run, sessions: Sessions, small: None, cron: str, bounds: list[int], before: list[int], breaks: list[int]
) -> None:
    """Whatever was there before, however often it is repeated, and wherever it is broken off."""
    entry = Entry("events.place", cron, "all")
    SCHEDULE["hourly"] = entry
    begin, end = (START + timedelta(minutes=minute) for minute in bounds)
    with sessions.begin() as session:
        session.execute(text("TRUNCATE jobs, job_attempts, periodic_entries"))
        by_hand = {latest_slot(cron, START + timedelta(minutes=minute)) for minute in before} - {None}
        for slot in by_hand:
            assert slot is not None
            periodic_store.enqueue_slot(session, "hourly", entry.kind, slot)
        session.execute(update(Job).values(state=JobState.CANCELLED, finished_at=START))
    wanted = list(slots_between(cron, begin, end))
    for allowed in breaks:
        interrupt(sessions, entry, wanted, allowed)
    asked = ("backfill", "hourly", "--from", begin.isoformat(), "--to", end.isoformat())
    done = set(keys(sessions))
    missing = [slot for slot in wanted if periodic_store.slot_key("hourly", slot) not in done]
    assert shown(run, *asked, "--dry-run")["missing"] == len(missing)
    assert shown(run, *asked)["made"] == len(missing)
    assert shown(run, *asked)["made"] == 0
    expected = {periodic_store.slot_key("hourly", slot) for slot in (*wanted, *by_hand) if slot is not None}
    assert keys(sessions) == sorted(expected)
    assert clock(sessions) is None


def interrupt(sessions: Sessions, entry: Entry, wanted: list[datetime], allowed: int) -> None:
    """A backfill that is killed after so many statements: what was not committed is gone."""
    left = iter(range(allowed))

    class Dying(type(sessions())):  # type: ignore[misc]
        def scalars(self, *given: Any, **options: Any) -> Any:
            if next(left, None) is None:
                raise Broken
            return super().scalars(*given, **options)

    dying = Sessions(sessions.kw["bind"], class_=Dying, expire_on_commit=False)
    with suppress(Broken):
        periodic._make_up(dying, "hourly", entry, wanted, dry_run=False)
