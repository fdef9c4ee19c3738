"""All SQL of the outbox."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import channels
from huntaze.models.events import Event


def emit(session: Session, creator_id: uuid.UUID, type: str, subject_id: uuid.UUID, data: dict[str, Any]) -> None:
    """Writes an event into the caller's transaction: it is true exactly if what it tells is."""
    session.add(Event(creator_id=creator_id, type=type, subject_id=subject_id, data=data))
    session.flush()  # in this order, so that created_at orders the events of one transaction
    wake_placer(session)


def wake_placer(session: Session) -> None:
    """Tells the dispatchers, at the commit, that there are events to place."""
    session.execute(select(func.pg_notify(channels.EVENTS_WRITTEN, "")))


# The lock comes in a statement of its own: the next one's snapshot then sees all that the last holder placed.
_LOCK = text("SELECT position FROM event_position FOR UPDATE")
_PLACE = text("""
    WITH batch AS (
        SELECT id, row_number() OVER (ORDER BY created_at, id) AS n
        FROM (SELECT id, created_at FROM events WHERE position IS NULL ORDER BY created_at, id LIMIT :limit) AS unplaced
    ), last AS (
        UPDATE event_position SET position = position + (SELECT count(*) FROM batch) RETURNING position
    )
    UPDATE events SET position = :start + batch.n FROM batch, last WHERE events.id = batch.id
""")


MOST_AT_ONCE = 1000


def place(session: Session, limit: int = MOST_AT_ONCE) -> int:
    """Gives unplaced events the next positions, in the order in which they happened; returns how many.

    Events of one subject are ordered by its row lock and the database's clock, whatever the clocks of the nodes say.
    """
    start = session.execute(_LOCK).scalar_one()
    placed: int = session.execute(_PLACE, {"limit": limit, "start": start}).rowcount  # type: ignore[attr-defined]
    if placed:
        session.execute(select(func.pg_notify(channels.EVENTS_PLACED, "")))
    return placed


def read_after(session: Session, creator_id: uuid.UUID, position: int, limit: int = 200) -> Sequence[Event]:
    """The creator's events behind `position`, in order."""
    query = (
        select(Event)
        .where(Event.creator_id == creator_id, Event.position > position)
        .order_by(Event.position)
        .limit(limit)
    )
    return session.scalars(query).all()


def creators_after(session: Session, position: int) -> dict[uuid.UUID, int]:
    """Who has events behind `position`, and each one's last position: one query for the streams of all creators."""
    query = select(Event.creator_id, func.max(Event.position)).where(Event.position > position)
    rows = session.execute(query.group_by(Event.creator_id))
    return {row[0]: row[1] for row in rows if row[1] is not None}


def last_position(session: Session) -> int:
    """Where the stream stands now: where a reader that wants only news begins."""
    return int(session.execute(text("SELECT position FROM event_position")).scalar_one())
