"""One statement for one job or for thousands; one job at most where the kind says so."""

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text, update

from huntaze.models import channels, job_enqueue, job_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_enqueue import Enqueued, KeyReused, NewJob
from huntaze.models.job_kinds import JobKind, Unique
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.settings import Settings
from tests.models.kinds import Scrape, scrapes

PAGE = Scrape(url="https://example.com/")


def enqueue(sessions: Sessions, args: Scrape = PAGE, **options: Any) -> Enqueued:
    with sessions.begin() as session:
        return job_enqueue.enqueue(session, args, **options)


def end(sessions: Sessions, job: Job, state: JobState) -> None:
    """Puts the row into a state, as if it had gone there."""
    values: dict[str, Any] = {"state": state}
    if state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
        values["finished_at"] = job.created_at
    if state == JobState.FAILED:
        values["error_code"] = "x.broken"
    if state == JobState.QUEUED:
        values["queued_at"] = job.created_at
    if state == JobState.RUNNING:
        values["lease_until"] = job.created_at
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job.id).values(values))


def test_many_jobs_are_one_statement(sessions: Sessions, creator: User) -> None:
    statements: list[str] = []
    engine = sessions.kw["bind"]
    listen = lambda *arguments: statements.append(arguments[2])  # noqa: E731 - to be removed again
    event.listen(engine, "before_cursor_execute", listen)
    try:
        with sessions.begin() as session:
            requests = [NewJob(Noop(), creator_id=creator.id, priority=n % 3) for n in range(1000)]
            made = job_enqueue.enqueue_many(session, requests)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    assert len(statements) == 1
    assert all(one.created for one in made)
    assert [one.job.priority for one in made] == [n % 3 for n in range(1000)], "in the order of the requests"
    ids = [one.job.id for one in made]
    assert ids == sorted(ids)
    assert len({one.job.run_at for one in made}) == 1, "so that the ids decide who goes first"
    assert {(one.job.state, one.job.ready, one.job.flow_key, one.job.max_attempts) for one in made} == {
        ("waiting", True, str(creator.id), 5)
    }


def test_no_jobs_are_no_statement(sessions: Sessions) -> None:
    with sessions.begin() as session:
        assert job_enqueue.enqueue_many(session, []) == []


def test_every_column_is_as_it_was_asked_for(sessions: Sessions, creator: User) -> None:
    subject, parent = uuid.uuid4(), uuid.uuid4()
    awkward = Scrape(url='":\\ \U0001f3d6\ufe0f :name %s {}', depth=2)
    with scrapes(None):
        made = enqueue(
            *(sessions, awkward),
            creator_id=creator.id,
            subject_id=subject,
            parent_id=parent,
            priority=-7,
            flow_key="f",
            dedupe_key="d",
            fingerprint="p",
        )
    with sessions() as session:
        job = session.get_one(Job, made.job.id)
    assert (job.kind, job.args, job.args_version, job.queue) == ("test.scrape", awkward.model_dump(), 1, "default")
    assert (job.creator_id, job.subject_id, job.parent_id, job.priority) == (creator.id, subject, parent, -7)
    assert (job.flow_key, job.dedupe_key, job.fingerprint) == ("f", "d", "p")
    assert (job.state, job.attempt, job.errors, job.crashes, job.progress) == ("waiting", 0, 0, 0, 0.0)
    assert (job.batch_id, job.unique_key, job.unique_until, job.result) == (None, None, None, None)
    assert job.created_at == job.run_at


@pytest.mark.parametrize(("hours", "ready"), [(-1, True), (1, False)])
def test_a_past_time_is_now_and_a_later_one_waits(sessions: Sessions, hours: int, ready: bool) -> None:
    with sessions.begin() as session:
        now = job_store.db_now(session)
        job = job_enqueue.enqueue(session, Noop(), run_at=now + timedelta(hours=hours)).job
    assert job.ready is ready
    assert job.run_at == (job.created_at if ready else now + timedelta(hours=1))


@pytest.mark.parametrize(("hours", "told"), [([0, 0, 1], 1), ([1], 0), ([0] * 20, 1)])
def test_the_dispatchers_are_told_once_of_what_is_due(
    sessions: Sessions, settings: Settings, hours: list[int], told: int
) -> None:
    with psycopg.connect(settings.database.libpq_url, autocommit=True) as connection:
        connection.execute(f"LISTEN {channels.JOBS}")
        with sessions.begin() as session:
            now = job_store.db_now(session)
            requests = [NewJob(Noop(), run_at=now + timedelta(hours=h) if h else None) for h in hours]
            job_enqueue.enqueue_many(session, requests)
        connection.execute(f"NOTIFY {channels.JOBS}, 'last'")
        heard = [news.payload for news in connection.notifies(stop_after=told + 1, timeout=5)]
    assert heard == [""] * told + ["last"]


def test_a_child_is_of_its_parents_batch(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(text("INSERT INTO batches (id, total) VALUES (:id, 1)"), {"id": (batch := uuid.uuid4())})
        parent = job_enqueue.enqueue(session, Noop(), batch_id=batch).job
        child = job_enqueue.enqueue(session, Noop(), parent_id=parent.id).job
    assert child.batch_id == batch


def test_keys_within_one_call_and_before_it(sessions: Sessions) -> None:
    with sessions.begin() as session:
        earlier = job_enqueue.enqueue(session, Noop(), dedupe_key="a").job
    keys = ["b", "a", None, "b", None]
    with sessions.begin() as session:
        made = job_enqueue.enqueue_many(session, [NewJob(Noop(), dedupe_key=key) for key in keys])
    assert [one.created for one in made] == [True, False, True, False, True]
    assert made[1].job.id == earlier.id
    assert made[0].job.id == made[3].job.id
    with sessions.begin() as session, pytest.raises(KeyReused):
        job_enqueue.enqueue_many(session, [NewJob(Noop()), NewJob(Noop(), dedupe_key="a", fingerprint="other")])


RACES = 16


def race(do: Callable[[int], Any]) -> list[Any]:
    """Runs it sixteen times at once."""
    barrier = Barrier(RACES)

    def one(number: int) -> Any:
        barrier.wait(10)
        return do(number)

    with ThreadPoolExecutor(RACES) as pool:
        return list(pool.map(one, range(RACES)))


@pytest.mark.parametrize("rule", [Unique(), Unique(conflict="replace"), Unique(period_s=1e6)])
def test_sixteen_at_once_make_one(sessions: Sessions, rule: Unique) -> None:
    with scrapes(rule):
        made = race(lambda n: enqueue(sessions))
    assert [one.created for one in made].count(True) == 1
    assert len({one.job.id for one in made}) == 1


def test_sixteen_bundles_in_any_order_do_not_block_each_other(sessions: Sessions) -> None:
    pages = [Scrape(url=str(n)) for n in range(50)]

    def send(number: int) -> int:
        mine = random.Random(number).sample(pages, len(pages))
        with sessions.begin() as session:
            return sum(one.created for one in job_enqueue.enqueue_many(session, [NewJob(page) for page in mine]))

    with scrapes(Unique(conflict="replace")):
        assert sum(race(send)) == len(pages)


def test_keys_are_taken_in_the_same_order_by_all(sessions: Sessions) -> None:
    """Else two callers with two keys in common can wait for one another for good."""
    letters = random.sample("abcdefghijklmnopqrstuvwxyz", 26)
    with scrapes(Unique()), sessions.begin() as session:
        job_enqueue.enqueue_many(session, [NewJob(Noop(), dedupe_key=letter) for letter in letters])
        job_enqueue.enqueue_many(session, [NewJob(Scrape(url=letter)) for letter in letters])
        for column in ("dedupe_key", "unique_key"):
            written = text(f"SELECT {column} FROM jobs WHERE {column} IS NOT NULL ORDER BY ctid")
            taken = list(session.scalars(written))
            assert taken == sorted(taken)
            assert len(taken) == 26


def test_sixteen_enqueue_while_jobs_end(sessions: Sessions) -> None:
    """Whoever is told of an existing job was told of one that was live; there are never two."""

    def send(number: int) -> None:
        for _ in range(10):
            enqueued = enqueue(sessions)
            if enqueued.created:
                end(sessions, enqueued.job, random.choice((JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)))

    with scrapes(Unique()):
        race(send)
        last = [enqueue(sessions).created for _ in range(2)]
    assert last == [True, False]


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        (("args", "creator"), {}, {"args": Scrape(url="other")}),
        (("args", "creator"), {"subject_id": uuid.uuid4()}, {"creator_id": None}),
        (("args.url",), {"args": PAGE.model_copy(update={"depth": 2})}, {"args": Scrape(url="other")}),
        (("subject",), {"args": Scrape(url="other"), "creator_id": None}, {"subject_id": uuid.uuid4()}),
        ((), {"args": Scrape(url="other"), "creator_id": None}, None),
    ],
)
def test_what_makes_the_key(
    sessions: Sessions, creator: User, by: tuple[str, ...], same: dict[str, Any], other: dict[str, Any] | None
) -> None:
    first = {"args": PAGE, "creator_id": creator.id}
    with scrapes(Unique(by=by)):
        assert enqueue(sessions, **first).created
        assert not enqueue(sessions, **first | same).created
        assert other is None or enqueue(sessions, **first | other).created


def test_a_rule_names_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"test.scrape cannot be unique by args.ulr, owner"):
        JobKind(Scrape, queue="default", unique=Unique(by=("owner", "args.ulr", "args.url")))


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("period_s", [None, 1e6])
def test_who_holds_a_key(sessions: Sessions, state: JobState, period_s: float | None) -> None:
    live = state in (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
    with scrapes(Unique(period_s=period_s)):
        first = enqueue(sessions)
        end(sessions, first.job, state)
        second = enqueue(sessions)
    held = live or (state == JobState.SUCCEEDED and period_s is not None)
    assert second.created is not held


def test_a_period_ends_by_the_databases_clock(sessions: Sessions) -> None:
    with scrapes(Unique(period_s=1e6)):
        job = enqueue(sessions).job
        assert job.unique_until is not None
        assert job.created_at < job.unique_until <= job.created_at + timedelta(seconds=1e6)
        assert job.unique_until.timestamp() % 1e6 == 0
    with scrapes(Unique(period_s=1e-6)):
        assert enqueue(sessions).created
        assert enqueue(sessions).created, "in another period"


def test_a_later_request_replaces_what_waits(sessions: Sessions, settings: Settings) -> None:
    newer = PAGE.model_copy(update={"depth": 9})
    with scrapes(Unique(by=("args.url",), conflict="replace")):
        first = enqueue(sessions)
        later = first.job.created_at + timedelta(hours=1)
        second = enqueue(sessions, newer, run_at=later, priority=3)
        assert (second.created, second.job.id) == (False, first.job.id)
        seen = (second.job.args["depth"], second.job.run_at, second.job.ready, second.job.priority)
        assert seen == (9, later, False, 3)
        with psycopg.connect(settings.database.libpq_url, autocommit=True) as connection:
            connection.execute(f"LISTEN {channels.JOBS}")
            third = enqueue(sessions, newer)
            assert len(list(connection.notifies(timeout=5, stop_after=1))) == 1
        assert (third.job.ready, third.job.priority) == (True, 0)
        assert third.job.run_at < later


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_what_has_left_is_not_replaced(sessions: Sessions, state: JobState) -> None:
    with scrapes(Unique(by=("args.url",), conflict="replace")):
        first = enqueue(sessions)
        end(sessions, first.job, state)
        second = enqueue(sessions, PAGE.model_copy(update={"depth": 9}))
    assert (second.created, second.job.id, second.job.args["depth"]) == (False, first.job.id, 1)


def test_a_replacement_cuts_no_backoff_short(sessions: Sessions) -> None:
    with scrapes(Unique(by=("args.url",), conflict="replace")):
        job = enqueue(sessions).job
        backoff = job.created_at + timedelta(minutes=5)
        with sessions.begin() as session:
            session.execute(update(Job).values(attempt=1, errors=1, run_at=backoff, ready=False))
        second = enqueue(sessions, PAGE.model_copy(update={"depth": 9}))
    assert (second.job.args["depth"], second.job.run_at, second.job.ready) == (9, backoff, False)


def test_the_repeat_of_a_request_goes_before_the_same_work(sessions: Sessions) -> None:
    with scrapes(Unique(conflict="replace")):
        first = enqueue(sessions, dedupe_key="k", fingerprint="f")
        same_work = enqueue(sessions, dedupe_key="other", priority=5)
        assert (same_work.created, same_work.job.id) == (False, first.job.id)
        repeat = enqueue(sessions, dedupe_key="k", fingerprint="f", priority=9)
        assert (repeat.created, repeat.job.priority) == (False, 5), "a repeat replaces nothing"
        end(sessions, first.job, JobState.SUCCEEDED)
        repeat = enqueue(sessions, dedupe_key="k", fingerprint="f")
        assert (repeat.created, repeat.job.id) == (False, first.job.id), "however long ago"
        assert enqueue(sessions).created
        with pytest.raises(KeyReused):
            enqueue(sessions, dedupe_key="k", fingerprint="g")


def test_a_replay_finds_its_work_taken(sessions: Sessions) -> None:
    with scrapes(Unique()):
        first = enqueue(sessions).job
        end(sessions, first, JobState.FAILED)
        second = enqueue(sessions).job
        with pytest.raises(Permanent, match="another job") as refused, sessions.begin() as session:
            job_store.replay(session, first.id)
        assert refused.value.code == "job.duplicate"
        end(sessions, second, JobState.SUCCEEDED)
        with sessions.begin() as session:
            assert job_store.replay(session, first.id) is not None
        assert not enqueue(sessions).created
