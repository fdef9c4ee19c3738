"""All SQL of deliveries: from an event's place in the stream to an endpoint's answer.

A *lane* is what is still to come of one subject at one endpoint, in the order of the stream. Its first delivery is
tried; one that finds an earlier one before it is parked (`waiting`), and whoever ends the earlier one calls it. Parking
and ending meet at the row of the earlier one: the parker holds it by a share lock, so either the end sees the parked
one, or the parker sees the end.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.base import new_id
from huntaze.models.job_args import WebhooksDeliver
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.models.webhook_store import TEST
from huntaze.models.webhooks import DeliveryState
from huntaze.pipelines.webhooks.messages import Message

Key = tuple[uuid.UUID, uuid.UUID]  # endpoint, event

# `pipelines/webhooks/patterns.wants`, of the columns of an event and an endpoint.
WANTED = f"""
    CASE WHEN event.type = '{TEST}' THEN endpoint.id = event.subject_id ELSE EXISTS (
        SELECT FROM unnest(endpoint.types) AS pattern
        WHERE pattern IN ('*', event.type) OR pattern LIKE '%.*' AND starts_with(event.type, rtrim(pattern, '*'))
    ) END
"""
# The key-share lock waits for one who deletes the endpoint, and then passes it over: an insert would break instead.
_FAN_OUT = text(f"""
    WITH event AS MATERIALIZED (
        SELECT id, position, creator_id, type, subject_id FROM events WHERE position > :after AND position <= :upto
    ), own AS MATERIALIZED (
        SELECT id, creator_id, types FROM webhook_endpoints
        WHERE creator_id = ANY (ARRAY(SELECT DISTINCT creator_id FROM event)) AND disabled_reason IS NULL
        FOR KEY SHARE
    ), partners AS MATERIALIZED (
        SELECT id, types FROM webhook_endpoints WHERE creator_id IS NULL AND disabled_reason IS NULL FOR KEY SHARE
    ), wanted AS (
        SELECT endpoint.id AS endpoint_id, event.id, event.subject_id, event.position
        FROM event JOIN own AS endpoint USING (creator_id) WHERE {WANTED}
        UNION ALL
        SELECT endpoint.id, event.id, event.subject_id, event.position
        FROM event CROSS JOIN partners AS endpoint WHERE {WANTED}
    ), made AS (
        INSERT INTO webhook_deliveries (endpoint_id, event_id, subject_id, position, state, attempts)
        SELECT endpoint_id, id, subject_id, position, 'sending', 0 FROM wanted
        ON CONFLICT DO NOTHING
        RETURNING endpoint_id, event_id, position
    )
    SELECT endpoint_id, event_id FROM made ORDER BY position, endpoint_id
""")  # noqa: S608 - of constants


# Fewer than `event_store` would take: each is a job for every endpoint that wants it, and all streams wait meanwhile.
MOST_AT_ONCE = 250


def place(session: Session, limit: int = MOST_AT_ONCE) -> int:
    """Gives events their positions and, in the same transaction, each endpoint that wants one its delivery; returns how
    many events. One writer at a time, so an endpoint's deliveries become visible in the order of the stream."""
    placed = event_store.place(session, limit)
    if placed:
        upto = event_store.last_position(session)
        send(session, session.execute(_FAN_OUT, {"after": upto - placed, "upto": upto}))
    return placed


def send(session: Session, keys: Iterable[Any]) -> int:
    """A job for each (endpoint, event), in this order. The flow key makes a slow endpoint wait for itself alone."""
    jobs = [
        NewJob(WebhooksDeliver(endpoint_id=endpoint, event_id=event), flow_key=str(endpoint))
        for endpoint, event in keys
    ]
    if jobs:
        enqueue_many(session, jobs)
    return len(jobs)


@dataclass(frozen=True)
class Delivery:
    """What its job has to know. `wait_s`: how long it is too early, from now: the endpoint asked to be left alone, or
    the worker crashed that had noted the last attempt."""

    key: Key
    url: str
    disabled: bool
    failing_since: datetime | None
    wait_s: float
    attempts: int
    message: Message
    now: datetime


_LOAD = text("""
    SELECT d.attempts, w.url, w.disabled_reason IS NOT NULL AS disabled, w.failing_since, clock_timestamp() AS now,
           coalesce(extract(epoch FROM greatest(w.throttled_until, d.next_attempt_at) - clock_timestamp()), 0)::float8
           AS wait_s,
           e.type, e.creator_id, e.subject_id, e.position, e.created_at, e.data
    FROM webhook_deliveries d
    JOIN webhook_endpoints w ON w.id = d.endpoint_id
    JOIN events e ON e.id = d.event_id
    WHERE d.endpoint_id = :endpoint_id AND d.event_id = :event_id AND d.state = 'sending'
""")


def load(session: Session, key: Key) -> Delivery | None:
    """A delivery that is to be tried; None: there is nothing to do any more."""
    row = session.execute(_LOAD, _named(key)).one_or_none()
    if row is None:
        return None
    message = Message(key[1], row.type, row.creator_id, row.subject_id, row.position, row.created_at, row.data)
    return Delivery(key, row.url, row.disabled, row.failing_since, max(row.wait_s, 0.0), row.attempts, message, row.now)


def _named(key: Key) -> dict[str, object]:
    return {"endpoint_id": key[0], "event_id": key[1]}


_EARLIER = """
    SELECT event_id FROM webhook_deliveries
    WHERE endpoint_id = :endpoint_id AND subject_id = :subject_id AND position < :position
      AND state IN ('sending', 'waiting')
    ORDER BY position DESC LIMIT 1
"""
_LOOK_BEFORE = text(_EARLIER)
_HOLD_BEFORE = text(f"{_EARLIER} FOR SHARE")
_PARK = text("""
    UPDATE webhook_deliveries SET state = 'waiting'
    WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND state = 'sending'
""")


def is_first(session: Session, delivery: Delivery) -> bool:
    """Whether nothing of the same subject is to come before it: a look without a lock, which is right if it says so.
    What ended stays ended but for a resend, which is out of order by its nature."""
    return session.execute(_LOOK_BEFORE, _lane(delivery)).one_or_none() is None


def park(session: Session, delivery: Delivery) -> bool:
    """sending -> waiting, if an earlier delivery of its lane is still to come. False: there is none any more.

    In the transaction that ends its job: `waiting` is who has no job.
    """
    if session.execute(_HOLD_BEFORE, _lane(delivery)).one_or_none() is None:
        return False
    session.execute(_PARK, _named(delivery.key))
    return True


def _lane(delivery: Delivery) -> dict[str, object]:
    message = delivery.message
    return {"endpoint_id": delivery.key[0], "subject_id": message.subject_id, "position": message.position}


@dataclass(frozen=True)
class Attempt:
    """One request. `status`: None where nothing was answered; `error` then says why."""

    seconds: float
    status: int | None
    error: str | None


_ATTEMPT = text("""
    INSERT INTO webhook_attempts (id, endpoint_id, event_id, seconds, status, error)
    VALUES (:id, :endpoint_id, :event_id, :seconds, :status, :error)
""")
_HOLD = text("SELECT id FROM webhook_endpoints WHERE id = :endpoint_id FOR KEY SHARE")
_END = text("""
    UPDATE webhook_deliveries
    SET state = :state, attempts = attempts + :tried, status = :status, error_code = :code, next_attempt_at = NULL,
        ended_at = clock_timestamp()
    WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND state IN ('sending', 'waiting')
    RETURNING subject_id
""")
_CALL_NEXT = text("""
    UPDATE webhook_deliveries SET state = 'sending'
    WHERE state = 'waiting' AND endpoint_id = :endpoint_id AND event_id = (
        SELECT event_id FROM webhook_deliveries
        WHERE endpoint_id = :endpoint_id AND subject_id = :subject_id AND state IN ('sending', 'waiting')
        ORDER BY position LIMIT 1
    )
    RETURNING endpoint_id, event_id
""")
_WELL = text("""
    UPDATE webhook_endpoints SET failing_since = NULL, throttled_until = NULL
    WHERE id = :endpoint_id AND (failing_since IS NOT NULL OR throttled_until IS NOT NULL)
""")


def end(
    session: Session, key: Key, state: DeliveryState, attempt: Attempt | None = None, code: str | None = None
) -> None:
    """-> delivered or failed (then with a `code`), and the next of the lane is called. Nothing, where the endpoint is
    gone: its log went with it."""
    if session.execute(_HOLD, _named(key)).one_or_none() is None:
        return
    status = None if attempt is None else attempt.status
    given = {"state": state.value, "tried": int(attempt is not None), "status": status, "code": code}
    subject_id = session.execute(_END, _named(key) | given).scalar_one_or_none()
    if subject_id is None:
        return
    _note(session, key, attempt)
    if state == DeliveryState.DELIVERED:
        session.execute(_WELL, _named(key))
    send(session, session.execute(_CALL_NEXT, {"endpoint_id": key[0], "subject_id": subject_id}).all())


def _note(session: Session, key: Key, attempt: Attempt | None) -> None:
    if attempt is not None:
        session.execute(_ATTEMPT, _named(key) | {"id": new_id(), **vars(attempt)})


_AGAIN = text("""
    UPDATE webhook_deliveries
    SET attempts = attempts + 1, status = :status, next_attempt_at = clock_timestamp() + :delay
    WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND state = 'sending'
""")
_ILL = text("""
    UPDATE webhook_endpoints
    SET failing_since = coalesce(failing_since, clock_timestamp()),
        throttled_until = CASE WHEN :throttle THEN clock_timestamp() + :delay ELSE throttled_until END
    WHERE id = :endpoint_id AND (failing_since IS NULL OR :throttle)
""")


def again(session: Session, key: Key, attempt: Attempt, delay: timedelta) -> None:
    """Notes an attempt after which another one is due."""
    if session.execute(_HOLD, _named(key)).one_or_none() is None:
        return
    session.execute(_AGAIN, _named(key) | {"status": attempt.status, "delay": delay})
    _note(session, key, attempt)


def endpoint_failed(session: Session, endpoint_id: uuid.UUID, throttle: timedelta | None) -> None:
    """Notes that an endpoint fails, from now if it did not before; `throttle`: leave all of it alone for so long."""
    given = {"endpoint_id": endpoint_id, "throttle": throttle is not None, "delay": throttle or timedelta()}
    session.execute(_ILL, given)
