"""All SQL of endpoints and their secrets. What becomes of deliveries is in `webhook_deliveries.py`.

`session` is the caller's transaction; nothing here commits.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, text, true, update
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.base import new_id
from huntaze.models.events import Event
from huntaze.models.jobs import Job, JobState
from huntaze.models.webhooks import DisabledReason, WebhookEndpoint, WebhookSecret
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.schedule import FAILING
from huntaze.pipelines.webhooks.signing import Keyring, derive_secret, key_id

MOST_ENDPOINTS = 20  # of one creator: each event is written once for each of them
TEST = "webhook.test"  # an event that only its own endpoint is told of
DISABLED = "webhook.disabled"

_FRESH = {"populate_existing": True}


def create(
    session: Session,
    keys: Keyring,
    url: str,
    types: Sequence[str],
    *,
    creator_id: uuid.UUID | None = None,
    partner: str | None = None,
    description: str | None = None,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, of a creator or of a partner, and its secret, which is told once.

    Raises Permanent (`webhook.too_many`).
    """
    if creator_id is not None:
        session.execute(_HOLD_CREATOR, {"id": creator_id})
        query = select(func.count()).select_from(WebhookEndpoint).where(WebhookEndpoint.creator_id == creator_id)
        if session.execute(query).scalar_one() >= MOST_ENDPOINTS:
            raise Permanent("webhook.too_many", f"There are {MOST_ENDPOINTS} endpoints already; delete one first.")
    endpoint = WebhookEndpoint(
        creator_id=creator_id, partner=partner, url=url, types=list(dict.fromkeys(types)), description=description
    )
    session.add(endpoint)
    session.flush()
    return endpoint, _new_secret(session, keys, endpoint.id)


# Two creations at once take turns, or both would see room for one.
_HOLD_CREATOR = text("SELECT id FROM users WHERE id = :id FOR NO KEY UPDATE")


def _new_secret(session: Session, keys: Keyring, endpoint_id: uuid.UUID) -> str:
    salt = os.urandom(16)
    session.add(WebhookSecret(endpoint_id=endpoint_id, salt=salt, key_id=key_id(keys.current)))
    session.flush()
    return derive_secret(keys.current, salt, endpoint_id.bytes)


def rotate(session: Session, keys: Keyring, endpoint_id: uuid.UUID, overlap: timedelta) -> str:
    """A new secret; the one that signed until now signs beside it for `overlap`, those before it no more. The caller
    holds the endpoint's row."""
    newest = select(WebhookSecret.id).where(WebhookSecret.endpoint_id == endpoint_id).order_by(WebhookSecret.id.desc())
    kept = session.scalars(newest.limit(1)).one_or_none()
    session.execute(delete(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint_id, WebhookSecret.id != kept))
    session.execute(
        update(WebhookSecret).where(WebhookSecret.id == kept).values(expires_at=func.clock_timestamp() + overlap)
    )
    return _new_secret(session, keys, endpoint_id)


def secrets_of(session: Session, keys: Keyring, endpoint_id: uuid.UUID) -> list[str]:
    """The secrets that sign now, newest first; none of a key that the fleet does not have any more."""
    query = select(WebhookSecret).where(
        WebhookSecret.endpoint_id == endpoint_id,
        or_(WebhookSecret.expires_at.is_(None), WebhookSecret.expires_at > func.clock_timestamp()),
    )
    found = []
    for row in session.scalars(query.order_by(WebhookSecret.id.desc())):
        master = keys.by_id(row.key_id)
        if master is not None:
            found.append(derive_secret(master, row.salt, endpoint_id.bytes))
    return found


def _owned(creator_id: uuid.UUID | None) -> ColumnElement[bool]:
    """One creator's endpoints; all of them for an operator (None)."""
    return true() if creator_id is None else WebhookEndpoint.creator_id == creator_id


def get(
    session: Session, endpoint_id: uuid.UUID, creator_id: uuid.UUID | None = None, *, lock: bool = False
) -> WebhookEndpoint | None:
    """One endpoint, if it is this creator's; any for an operator (None)."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, _owned(creator_id))
    query = query.with_for_update(key_share=True) if lock else query
    return session.scalars(query, execution_options=_FRESH).one_or_none()


def search(
    session: Session, *, creator_id: uuid.UUID | None = None, before: uuid.UUID | None = None, limit: int = 50
) -> list[WebhookEndpoint]:
    """Endpoints, newest first, below the cursor `before`."""
    query = select(WebhookEndpoint).where(_owned(creator_id)).order_by(WebhookEndpoint.id.desc()).limit(limit)
    if before is not None:
        query = query.where(WebhookEndpoint.id < before)
    return list(session.scalars(query))


def change(session: Session, endpoint: WebhookEndpoint, values: Mapping[str, Any]) -> None:
    """Sets columns of a locked endpoint: url, types, description; `enabled` switches it on, with a clean slate, or
    off. What is told afterwards goes by the new values, what lies there already too."""
    for name in ("url", "types", "description"):
        if name in values:
            setattr(endpoint, name, values[name])
    if values.get("enabled") is True:
        endpoint.disabled_reason = endpoint.failing_since = endpoint.throttled_until = None
    elif values.get("enabled") is False and endpoint.disabled_reason is None:
        endpoint.disabled_reason = DisabledReason.ASKED
    session.flush()


def remove(session: Session, endpoint_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> bool:
    """Deletes an endpoint, with its secrets and its log. False: no such endpoint for this creator."""
    statement = delete(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, _owned(creator_id))
    return bool(session.execute(statement.returning(WebhookEndpoint.id)).all())


_DISABLE = text("""
    UPDATE webhook_endpoints SET disabled_reason = :reason
    WHERE id = :id AND disabled_reason IS NULL
      AND (:reason <> 'failing' OR failing_since <= clock_timestamp() - cast(:failing AS interval))
    RETURNING creator_id, failing_since
""")


def disable(session: Session, endpoint_id: uuid.UUID, reason: DisabledReason) -> bool:
    """Tells an endpoint nothing more, and its creator that it is so, once; but not the URL, which may hold a secret.
    False: it was disabled before, or has had a success meanwhile."""
    given = {"id": endpoint_id, "reason": reason.value, "failing": FAILING}
    row = session.execute(_DISABLE, given).one_or_none()
    if row is None:
        return False
    if row.creator_id is not None:
        since = None if row.failing_since is None else row.failing_since.isoformat()
        data = {"endpoint_id": str(endpoint_id), "reason": reason.value, "failing_since": since}
        event_store.emit(session, row.creator_id, DISABLED, endpoint_id, data)
    return True


def emit_test(session: Session, endpoint: WebhookEndpoint, creator_id: uuid.UUID) -> uuid.UUID:
    """An event for this endpoint alone, by the way that all events go; returns its id."""
    data = {"endpoint_id": str(endpoint.id)}
    event = Event(id=new_id(), creator_id=creator_id, type=TEST, subject_id=endpoint.id, data=data)
    session.add(event)
    session.flush()
    event_store.wake_placer(session)
    return event.id


_FOLLOW = text("""
    UPDATE webhook_deliveries
    SET state = CASE WHEN :failed THEN 'failed' ELSE 'sending' END, next_attempt_at = NULL,
        error_code = CASE WHEN :failed THEN cast(:code AS text) END,
        ended_at = CASE WHEN :failed THEN clock_timestamp() END
    WHERE endpoint_id = :endpoint_id AND event_id = :event_id
      AND state = CASE WHEN :failed THEN 'sending' ELSE 'failed' END
""")


def follow_job(session: Session, job: Job) -> None:
    """Keeps a delivery in step with its job where that ended without its handler: crashed, cancelled, replayed.

    What waits behind such a delivery goes on with the next sweep (`webhook_deliveries.sweep`)."""
    failed = job.state in (JobState.FAILED, JobState.CANCELLED)
    if failed or job.state == JobState.WAITING:
        code = "webhook.cancelled" if job.state == JobState.CANCELLED else job.error_code
        session.execute(_FOLLOW, {**job.args, "failed": failed, "code": code})
