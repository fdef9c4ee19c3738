"""The outbox: a place in the stream for every event, in the order in which things happened."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.users import User


def place(sessions: Sessions, limit: int = 1000) -> int:
    with sessions.begin() as session:
        return event_store.place(session, limit)


def emit(session: Session, creator: User, type: str, subject: uuid.UUID | None = None) -> None:
    event_store.emit(session, creator.id, type, subject or new_id(), {})


def read(sessions: Sessions, creator: User, after: int = 0) -> list[tuple[int, str]]:
    with sessions() as session:
        return [(event.position or 0, event.type) for event in event_store.read_after(session, creator.id, after)]


def test_an_event_that_commits_late_is_not_skipped(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as slow:
        emit(slow, creator, "a.slow")
        with sessions.begin() as quick:
            emit(quick, creator, "b.quick")
        assert place(sessions) == 1
        seen = read(sessions, creator)
        assert [type for _, type in seen] == ["b.quick"]
    assert place(sessions) == 1
    assert [type for _, type in read(sessions, creator, after=seen[-1][0])] == ["a.slow"]


def test_what_was_rolled_back_never_happened(sessions: Sessions, creator: User) -> None:
    session = sessions()
    emit(session, creator, "a.b")
    session.rollback()
    session.close()
    assert place(sessions) == 0


def test_events_of_one_transaction_keep_their_order(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        for number in range(5):
            emit(session, creator, f"step.{number}")
    place(sessions)
    assert [type for _, type in read(sessions, creator)] == [f"step.{number}" for number in range(5)]


def test_many_writers_and_many_placers_leave_no_gap_and_no_double(sessions: Sessions, creator: User) -> None:
    def write(number: int) -> None:
        with sessions.begin() as session:
            emit(session, creator, f"n.{number}")
        place(sessions, limit=3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))
    while place(sessions):
        pass
    seen = read(sessions, creator)
    positions = [position for position, _ in seen]
    assert positions == list(range(positions[0], positions[0] + 60))
    assert {type for _, type in seen} == {f"n.{number}" for number in range(60)}


def test_a_creator_reads_only_its_own(sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        emit(session, creator, "a.b")
    place(sessions)
    with sessions() as session:
        assert event_store.read_after(session, uuid.uuid4(), 0) == []
