"""The moves of offers that come by the clock: many at a time, each told by an event in the same statement.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.pipelines.offers.states import ENDS_BY_TIME

ROWS = 500  # of one turn: no lock is held for long

_ENDS_BY_TIME = ", ".join(f"'{state}'" for state in ENDS_BY_TIME)
# Who is being changed by its creator is passed over: that change catches up with the clock itself.
_MOVE = """
    WITH due AS MATERIALIZED (
        SELECT id, state AS before FROM offers WHERE {due} ORDER BY {due_at} LIMIT :rows
        FOR NO KEY UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE offers SET state = '{state}' FROM due WHERE offers.id = due.id
        RETURNING offers.*, due.before
    )
    INSERT INTO events (id, creator_id, type, subject_id, data)
    SELECT gen_random_uuid(), creator_id, '{type}', id,
           jsonb_build_object('offer_id', id, 'name', name, 'code', code, 'state', state, 'before', before)
    FROM moved
"""
# One whose end has come before anybody looked is not opened: `expire` closes it.
_ACTIVATE = text(
    _MOVE.format(
        state="active",
        type="offer.activated",
        due="state = 'scheduled' AND starts_at <= :slot AND (ends_at IS NULL OR ends_at > :slot)",
        due_at="starts_at",
    )
)
_EXPIRE = text(
    _MOVE.format(
        state="expired",
        type="offer.expired",
        due=f"state IN ({_ENDS_BY_TIME}) AND ends_at <= :slot"
        " AND (cast(:creator_id AS uuid) IS NULL OR creator_id = :creator_id)",
        due_at="ends_at",
    )
)


def now(session: Session) -> datetime:
    """The database's clock."""
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment


def activate(session: Session, slot: datetime) -> int:
    """scheduled -> active for up to ROWS offers whose start had come at `slot`; returns how many."""
    return _moved(session, session.execute(_ACTIVATE, {"slot": slot, "rows": ROWS}).rowcount)  # type: ignore[attr-defined]


def expire(session: Session, slot: datetime, creator_id: uuid.UUID | None = None) -> int:
    """-> expired for up to ROWS offers, of one creator or of all, whose end had come at `slot`; returns how many."""
    given = {"slot": slot, "rows": ROWS, "creator_id": creator_id}
    return _moved(session, session.execute(_EXPIRE, given).rowcount)  # type: ignore[attr-defined]


def _moved(session: Session, count: int) -> int:
    if count:
        event_store.wake_placer(session)
    return count
