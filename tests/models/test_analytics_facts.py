"""An event counts once: whoever sends it, however often, in whatever month it claims to have been."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from huntaze.models import analytics_cursor, analytics_facts, analytics_partitions, user_store
from huntaze.models.analytics_facts import Loaded
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.analytics.facts import Fact
from tests.models.raw_facts import kept, load, raw, request, roll_all, spread_out
from tests.waiting import until

AT = datetime(2024, 3, 31, 23, 50, tzinfo=UTC)
NEXT_MONTH = AT + timedelta(hours=1)


def stored(sessions: Sessions) -> list[tuple[datetime, int]]:
    with sessions() as session:
        return [
            tuple(row) for row in session.execute(text("SELECT occurred_at, value FROM analytics_facts ORDER BY 1"))
        ]


@pytest.mark.parametrize("many", [0, 200], ids=["by parameters", "by COPY"])
def test_a_repeat_changes_nothing_even_where_it_claims_another_month(
    sessions: Sessions, creator: User, many: int
) -> None:
    others = [request(number, AT) for number in range(1000, 1000 + many)]
    assert load(sessions, creator.id, [request(1, AT), *others]) == Loaded(1 + many, 0, 0)
    again = [request(1, AT), request(1, NEXT_MONTH), request(2, NEXT_MONTH), request(2, NEXT_MONTH), *others]
    assert load(sessions, creator.id, again) == Loaded(1, 3 + many, 0)
    assert len(stored(sessions)) == 2 + many


@pytest.mark.parametrize("many", [0, 200], ids=["by parameters", "by COPY"])
def test_a_higher_revision_takes_the_place_of_a_lower_one_in_any_order(
    sessions: Sessions, creator: User, many: int
) -> None:
    first, second, third = (request(1, AT + timedelta(days=n), revision=n) for n in range(3))
    others = [request(number, AT) for number in range(1000, 1000 + many)]
    assert load(sessions, creator.id, [second, *others]) == Loaded(1 + many, 0, 0)
    roll_all(sessions)
    assert load(sessions, creator.id, [first, *others]) == Loaded(0, 1 + many, 0)
    assert load(sessions, creator.id, [third, second, *others]) == Loaded(0, 1 + many, 1)
    assert load(sessions, creator.id, [third, *others]) == Loaded(0, 1 + many, 0)
    assert (third.occurred_at, third.value) in stored(sessions)
    assert len(stored(sessions)) == 1 + many
    roll_all(sessions)
    assert sum(row[0] for row in raw(sessions)["day"].values()) == 1 + many
    assert kept(sessions) == raw(sessions), "and the bucket that it left was counted anew"


def test_another_creators_event_with_the_same_id_is_another(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        other = user_store.ensure_user(session, "other")
    load(sessions, creator.id, [request(1, AT)])
    assert load(sessions, other.id, [request(1, AT, revision=3)]) == Loaded(1, 0, 0)
    assert len(stored(sessions)) == 2


def test_two_that_load_the_same_events_at_once_wait_for_each_other(sessions: Sessions, creator: User) -> None:
    """In opposite orders: without an order of their own they would lock each other out."""
    facts = spread_out(2000, AT, timedelta(hours=2))
    done: list[Loaded] = []

    def send(some: list[Fact]) -> None:
        done.append(load(sessions, creator.id, some))

    threads = [threading.Thread(target=send, args=(some,)) for some in (facts, facts[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted((one.accepted, one.repeated) for one in done) == [(0, 2000), (2000, 0)]
    assert len(stored(sessions)) == 2000


def test_two_corrections_at_once_leave_one_fact(sessions: Sessions, creator: User) -> None:
    """The second has seen that the event is there, and stops; the first corrects it meanwhile, and commits last."""
    load(sessions, creator.id, [request(1, AT), request(2, NEXT_MONTH)])
    late = threading.Thread(target=load, args=(sessions, creator.id, [request(1, NEXT_MONTH, revision=2)]))
    there, go = threading.Event(), threading.Event()

    def stop(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.current_thread() is late and "AS known" in statement and not there.is_set():
            there.set()
            go.wait(30)

    engine = sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", stop)
    try:
        late.start()
        assert there.wait(30)
        with sessions() as first:
            analytics_facts.load(first, creator.id, [request(1, AT + timedelta(days=1), revision=1)])
            go.set()
            until(lambda: waiting_for_locks(sessions), "the second correction to wait for the first")
            first.commit()
        late.join(30)
    finally:
        event.remove(engine, "before_cursor_execute", stop)
    assert [at for at, _ in stored(sessions)] == [NEXT_MONTH, NEXT_MONTH]


def waiting_for_locks(sessions: Sessions) -> bool:
    with sessions() as session:
        found = session.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))
        return bool(found.scalar_one())


def test_the_database_holds_a_bucket_to_its_time(sessions: Sessions, creator: User) -> None:
    load(sessions, creator.id, [request(1, AT)])
    with sessions() as session, pytest.raises(IntegrityError, match="bucket_of_time"):
        session.execute(text("UPDATE analytics_facts SET occurred_at = occurred_at + interval '15 minutes'"))


def test_bounds_are_the_policys_and_never_before_what_is_dropped(sessions: Sessions) -> None:
    with sessions.begin() as session:
        first, now = analytics_facts.bounds(session, 13)
        assert (now.year * 12 + now.month) - (first.year * 12 + first.month) == 13
        assert first == first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        analytics_cursor.lock(session, wait=True)
        analytics_cursor.make_final(session, now)
        assert analytics_facts.bounds(session, 13)[0] == now


def test_months_are_made_once_by_many_at_once(sessions: Sessions) -> None:
    month = datetime(1999, 7, 1, tzinfo=UTC).date()
    made: list[object] = []

    def ensure() -> None:
        with sessions.begin() as session:
            made.extend(analytics_partitions.ensure(session, [month]))

    threads = [threading.Thread(target=ensure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert made == [month]
    with sessions.begin() as session:
        found = {one.start: one for one in analytics_partitions.months(session)}
        analytics_partitions.drop(session, found[month])
        assert month not in {one.start for one in analytics_partitions.months(session)}
