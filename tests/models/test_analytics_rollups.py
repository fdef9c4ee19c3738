"""However facts come, and wherever counting breaks off, the rollups say what the raw facts say."""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text, update

from huntaze.models import (
    analytics_cursor,
    analytics_facts,
    analytics_figures,
    analytics_partitions,
    analytics_rollups,
    user_store,
)
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.analytics.facts import Fact
from huntaze.pipelines.analytics.sketches import EXACT, Held, count_persons, merge_values, percentile, unite_persons
from huntaze.pipelines.analytics.weblog import read_combined
from tests.models.raw_facts import chunks, everything, kept, load, raw, request, roll_all, spread_out

# Half hours, three quarters, a change by half an hour, clocks put back over midnight, a midnight and a day left out.
ZONES = (
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "Pacific/Apia",
)
# Days on which one of them changes its clocks, and the ends of months and years.
DAYS = [
    datetime(*day, tzinfo=UTC)
    for day in ((2024, 3, 10), (2024, 11, 3), (2024, 4, 6), (2024, 10, 5), (2024, 4, 26), (2011, 12, 30), (2024, 2, 29))
]
TURN_S = st.integers(0, 2 * 86_400)


@st.composite
def events(draw: st.DrawFn) -> Fact:
    number = draw(st.integers(0, 25))  # few ids, so that they come again: with another time, label and revision
    at = draw(st.sampled_from(DAYS)) + timedelta(seconds=draw(TURN_S) - 43_200)
    revision = draw(st.integers(0, 2))
    # Of one revision there is one content only: it follows from number and revision.
    at = at if revision == 0 and number > 20 else DAYS[(number + revision) % len(DAYS)] + timedelta(hours=number)
    number = number if revision or number <= 20 else number * 1_000_003 + int(at.timestamp())
    return request(number, at, label=("200", "404")[number % 2], persons=5, revision=revision)


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, list[Fact], str]]:
    """(creator, batch, what is done before it): batches repeat, overlap and come in any order."""
    batch = st.lists(events(), min_size=0, max_size=8)
    steps = draw(st.lists(st.tuples(st.integers(0, len(ZONES) - 1), batch, st.sampled_from(STEPS)), max_size=12))
    again = draw(st.lists(st.sampled_from(steps), max_size=4)) if steps else []
    return draw(st.permutations([*steps, *again]))


STEPS = ("", "roll", "roll few", "settle", "crash roll", "crash load")


class Killed(Exception):
    pass


@contextmanager
def killed_at(sessions: Sessions, statement: int) -> Iterator[None]:
    """Ends whatever runs inside at its n-th statement; the transaction is rolled back, as the server does it."""
    left = [statement]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    engine = sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    except Killed:
        pass
    finally:
        event.remove(engine, "before_cursor_execute", count)


@pytest.fixture
def creators(sessions: Sessions) -> list[User]:
    """One a zone."""
    with sessions.begin() as session:
        return [user_store.ensure_user(session, zone.lower().replace("/", "-"), time_zone=zone) for zone in ZONES]


def wipe(sessions: Sessions) -> None:
    with sessions.begin() as session:
        tables = "facts, event_ids, cursor, dirty, stale, stale_months, buckets, periods, zones"
        session.execute(text("TRUNCATE " + ", ".join(f"analytics_{name}" for name in tables.split(", "))))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=deliveries(), seed=st.integers(0, 40))
def test_any_order_repetition_lateness_and_crash_give_what_the_raw_facts_say(
    sessions: Sessions, creators: list[User], steps: list[tuple[int, list[Fact], str]], seed: int
) -> None:
    wipe(sessions)
    known: dict[tuple[uuid.UUID, uuid.UUID], int] = {}
    for creator, batch, step in steps:
        take_step(sessions, step, seed)
        creator_id = creators[creator].id
        if step == "crash load":
            with killed_at(sessions, seed % 8):
                load(sessions, creator_id, batch)
        load(sessions, creator_id, batch)
        for fact in batch:
            known[creator_id, fact.event_id] = max(known.get((creator_id, fact.event_id), 0), fact.revision)
    roll_all(sessions)
    assert kept(sessions) == (expected := raw(sessions))
    assert sum(row[0] for row in expected["bucket"].values()) == len(known), "each event once"
    before = everything(sessions)
    roll_all(sessions)
    assert everything(sessions) == before, "counting again changes nothing"


def take_step(sessions: Sessions, step: str, seed: int) -> None:
    if step == "roll few":
        with sessions.begin() as session:
            analytics_rollups.roll(session, wait=True, facts=3, marks=2)
    elif step == "settle":
        roll_all(sessions, facts=4)
    elif step == "crash roll":
        with killed_at(sessions, seed):
            roll_all(sessions, facts=2)
    elif step == "roll":
        with sessions.begin() as session:
            analytics_rollups.roll(session, wait=True)


def test_overlapping_transactions_lose_nothing(sessions: Sessions, creator: User) -> None:
    """The one that began first commits last: a watermark of ids or times would have passed it."""
    at = DAYS[0]
    with sessions.begin() as session:
        analytics_partitions.ensure(session, [at.date()])  # or the second would wait for the first to make the month
    with sessions() as slow:
        analytics_facts.load(slow, creator.id, [request(1, at)])
        load(sessions, creator.id, [request(2, at)])
        roll_all(sessions)
        assert kept(sessions)["bucket"] == {}, "what began after the slow one waits with it"
        slow.commit()
    roll_all(sessions)
    assert kept(sessions) == raw(sessions)
    assert [row[0] for row in kept(sessions)["bucket"].values()] == [2]


def test_two_at_once_take_turns(sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, [request(1, DAYS[0])])
    with sessions.begin() as session:
        first = analytics_rollups.roll(session)
        assert first is not None
        assert first.facts == 1
        with sessions.begin() as other:
            assert analytics_rollups.roll(other) is None, "whoever comes second leaves"


@pytest.mark.parametrize("persons", [EXACT, EXACT + 1, 6000])
def test_many_persons_and_values_are_sketched_and_the_bytes_do_not_tell_how(
    sessions: Sessions, creator: User, persons: int
) -> None:
    facts = [request(number, DAYS[0] + timedelta(seconds=7 * number), persons=persons) for number in range(7000)]
    random.Random(persons).shuffle(facts)
    for chunk in chunks(facts, 1500):
        load(sessions, creator.id, chunk)
        roll_all(sessions)
    at_once = Held([fact.value for fact in facts])
    with sessions() as session:
        month = analytics_figures.periods(
            session, creator.id, "web.requests", "month", date(2024, 3, 1), date(2024, 3, 1)
        )
    (found,) = month.values()
    assert found.count == 7000
    assert found.persons == unite_persons([Held([fact.person for fact in facts if fact.person is not None])])
    assert found.values == merge_values([at_once])
    estimate = count_persons(found.persons)
    assert estimate.low <= persons <= estimate.high
    assert abs(estimate.persons - persons) <= 0.04 * persons * (persons > 4096)
    exact = sorted(fact.value for fact in facts)[-int(-0.95 * 7000 // 1) - 1]
    assert percentile(found.values, 0.95) == pytest.approx(exact, rel=0.01)
    before = everything(sessions)
    rebuild(sessions, DAYS[0] - timedelta(days=1), DAYS[0] + timedelta(days=2))
    assert everything(sessions) == before


def rebuild(sessions: Sessions, start: datetime, end: datetime) -> None:
    with sessions.begin() as session:
        analytics_rollups.mark(session, start, end)
    roll_all(sessions)


def test_a_rebuild_mends_what_somebody_broke(sessions: Sessions, creator: User) -> None:
    start = DAYS[1]
    load(sessions, creator.id, spread_out(500, start, timedelta(days=3)))
    roll_all(sessions)
    before = everything(sessions)
    with sessions.begin() as session:
        session.execute(text("UPDATE analytics_buckets SET count = count + 1"))
        session.execute(text("DELETE FROM analytics_buckets WHERE count = 3"))
        session.execute(text("UPDATE analytics_buckets SET label = 'ghost' WHERE least % 2 = 0"))
    rebuild(sessions, start, start + timedelta(days=3))
    assert everything(sessions) == before


def test_a_creator_that_moves_gets_its_days_anew(sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, spread_out(200, DAYS[4], timedelta(days=3)))
    roll_all(sessions)
    for zone in ("Pacific/Auckland", "America/Havana"):
        with sessions.begin() as session:
            session.execute(update(User).values(time_zone=zone))
        roll_all(sessions)
        assert kept(sessions) == raw(sessions), zone
    with sessions.begin() as session:
        session.execute(update(User).values(time_zone="Mars/Olympus"))
    roll_all(sessions)
    with sessions.begin() as session:
        session.execute(update(User).values(time_zone="UTC"))
    assert kept(sessions) == raw(sessions), "a zone that nobody knows is taken for UTC"


def test_the_cursor_never_goes_back(sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, [request(1, DAYS[0])])
    roll_all(sessions)
    with sessions.begin() as session:
        held = analytics_cursor.lock(session, wait=True)
    roll_all(sessions)
    with sessions.begin() as session:
        later = analytics_cursor.lock(session, wait=True)
    assert held is not None
    assert later is not None
    assert later.after >= held.after > 0


def test_a_real_log_in_any_order_with_repeats_and_kills(
    sessions: Sessions, creator: User, shared: Callable[[str], Path]
) -> None:
    with shared("data/weblog/apache_logs").open(encoding="utf-8", errors="replace") as file:
        facts = list(read_combined(file))
    dice = random.Random(8)
    order = [*facts, *dice.sample(facts, 2000)]
    dice.shuffle(order)
    for number, chunk in enumerate(chunks(order, 1500)):
        with killed_at(sessions, number % 7):
            load(sessions, creator.id, chunk)
        load(sessions, creator.id, chunk)
        with killed_at(sessions, 5 + 3 * number):
            roll_all(sessions, facts=700)
    roll_all(sessions)
    assert kept(sessions)["bucket"] == raw(sessions)["bucket"]
    check_log(sessions, creator)
    before = everything(sessions)
    rebuild(sessions, datetime(2015, 5, 17, tzinfo=UTC), datetime(2015, 5, 21, tzinfo=UTC))
    assert everything(sessions) == before


def check_log(sessions: Sessions, creator: User) -> None:
    with sessions() as session:
        buckets = analytics_figures.buckets(session, creator.id, "web.requests", DAYS[5], DAYS[0])
        days = analytics_figures.periods(
            session, creator.id, "web.requests", "day", date(2015, 5, 1), date(2015, 5, 31)
        )
        months = analytics_figures.periods(
            session, creator.id, "web.requests", "month", date(2015, 5, 1), date(2015, 5, 31)
        )
    by_status = {label: one.count for (_, label), one in months.items()}
    assert sum(by_status.values()) == 10_000
    assert (by_status["200"], by_status["404"], by_status["304"]) == (9126, 213, 445)
    assert len({start.replace(minute=0) for start, _ in buckets}) == 84
    per_day = {start: sum(one.count for (day, _), one in days.items() if day == start) for start, _ in days}
    assert list(per_day.values()) == [1632, 2893, 2896, 2579]
    assert sum(one.total for one in months.values()) == 2_747_282_740
    assert count_persons(unite_persons(one.persons for one in months.values())).persons == 1753
