"""Parking meets ending: whichever comes first, the other waits for it and sees it."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store, webhook_deliveries, webhook_store
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.users import User
from huntaze.models.webhook_deliveries import Delivery, Key
from huntaze.models.webhooks import DeliveryState, WebhookDelivery
from huntaze.pipelines.webhooks.signing import Keyring
from tests.waiting import until

Lane = tuple[Key, Key]


@pytest.fixture
def lane(sessions: Sessions, creator: User) -> Lane:
    """Two events of one subject for one endpoint, and no job: both are in the hands of these tests."""
    with sessions.begin() as session:
        endpoint, _ = webhook_store.create(
            session, Keyring(b"k" * 32), "https://a.example/", ["*"], creator_id=creator.id
        )
        subject = new_id()
        for type in ("v.one", "v.two"):
            event_store.emit(session, creator.id, type, subject, {})
        webhook_deliveries.place(session)
        first, second = session.scalars(select(Event.id).order_by(Event.position))
        session.execute(text("DELETE FROM jobs"))
    return (endpoint.id, first), (endpoint.id, second)


def load(session: Session, key: Key) -> Delivery:
    found = webhook_deliveries.load(session, key)
    assert found is not None
    return found


def end(sessions: Sessions, key: Key) -> None:
    with sessions.begin() as session:
        webhook_deliveries.end(session, key, DeliveryState.DELIVERED)


def park(sessions: Sessions, key: Key) -> bool:
    with sessions.begin() as session:
        return webhook_deliveries.park(session, load(session, key))


def blocked(sessions: Sessions, other: Future[object]) -> bool:
    """Whether somebody waits for a lock; or `other` is through, which then is the failure to be told."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with sessions() as session:
        return other.done() or bool(session.execute(waiting).scalar_one())


def state(sessions: Sessions, key: Key) -> str:
    with sessions() as session:
        return session.get_one(WebhookDelivery, key).state


def jobs(sessions: Sessions) -> list[uuid.UUID]:
    with sessions() as session:
        return list(session.scalars(text("SELECT cast(args ->> 'event_id' AS uuid) FROM jobs")))


def while_open(sessions: Sessions, mine: Callable[[Session], object], other: Callable[[], object]) -> object:
    """What `other` came to, which began while the transaction of `mine` was open and waited for its commit."""
    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            mine(session)
            began = pool.submit(other)
            until(lambda: blocked(sessions, began), "the other to wait")
            assert not began.done(), "it did not wait"
        return began.result(10)


def test_an_end_waits_for_who_parks_and_calls_it(sessions: Sessions, lane: Lane) -> None:
    first, second = lane
    while_open(
        sessions,
        lambda session: webhook_deliveries.park(session, load(session, second)),
        lambda: end(sessions, first),
    )
    assert (state(sessions, first), state(sessions, second)) == ("delivered", "sending")
    assert jobs(sessions) == [second[1]]


def test_who_parks_waits_for_an_end_and_goes_on(sessions: Sessions, lane: Lane) -> None:
    first, second = lane
    parked = while_open(
        sessions,
        lambda session: webhook_deliveries.end(session, first, DeliveryState.DELIVERED),
        lambda: park(sessions, second),
    )
    assert parked is False
    assert state(sessions, second) == "sending"
    assert jobs(sessions) == [], "it has its own"


def test_who_parks_behind_one_that_is_still_to_come(sessions: Sessions, lane: Lane) -> None:
    first, second = lane
    assert park(sessions, second)
    assert not park(sessions, first)
    assert (state(sessions, first), state(sessions, second)) == ("sending", "waiting")
    end(sessions, first)
    assert (state(sessions, second), jobs(sessions)) == ("sending", [second[1]])
