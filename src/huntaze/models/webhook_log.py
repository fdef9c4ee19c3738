"""The log of deliveries: read, sent again by hand, replayed; and the net under what waits in vain.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from huntaze.models.events import Event
from huntaze.models.webhook_deliveries import WANTED, Key, send
from huntaze.models.webhooks import DeliveryState, WebhookAttempt, WebhookDelivery
from huntaze.pipelines.errors import Permanent

ROWS = 500  # of one turn of a replay or of a sweep


def search(
    session: Session,
    endpoint_id: uuid.UUID,
    *,
    state: DeliveryState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Row[WebhookDelivery, str]]:
    """(delivery, type of its event), newest first, below the position `before`."""
    query = select(WebhookDelivery, Event.type).join(Event, Event.id == WebhookDelivery.event_id)
    query = query.where(WebhookDelivery.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if before is not None:
        query = query.where(WebhookDelivery.position < before)
    return session.execute(query.order_by(WebhookDelivery.position.desc()).limit(limit)).all()


def get(session: Session, key: Key) -> Row[WebhookDelivery, str] | None:
    """(delivery, type of its event); None: there is none."""
    query = select(WebhookDelivery, Event.type).join(Event, Event.id == WebhookDelivery.event_id)
    query = query.where(WebhookDelivery.endpoint_id == key[0], WebhookDelivery.event_id == key[1])
    return session.execute(query, execution_options={"populate_existing": True}).one_or_none()


def attempts_of(session: Session, key: Key, limit: int = 100) -> list[WebhookAttempt]:
    """The newest attempts of a delivery, oldest first."""
    query = select(WebhookAttempt).where(WebhookAttempt.endpoint_id == key[0], WebhookAttempt.event_id == key[1])
    return list(session.scalars(query.order_by(WebhookAttempt.id.desc()).limit(limit)))[::-1]


_FROM_THE_START = """
    state = 'sending', attempts = 0, status = NULL, error_code = NULL, next_attempt_at = NULL, ended_at = NULL
"""
_RESEND = text(f"""
    UPDATE webhook_deliveries SET {_FROM_THE_START}
    WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND state IN ('delivered', 'failed')
    RETURNING endpoint_id, event_id
""")  # noqa: S608 - of constants


def resend(session: Session, key: Key) -> bool:
    """delivered or failed -> sending, with all its attempts. False: there is no such delivery.

    Raises Permanent (`webhook.under_way`) for one that is still to come.
    """
    row = session.execute(_RESEND, {"endpoint_id": key[0], "event_id": key[1]}).all()
    if not row and get(session, key) is None:
        return False
    if not row:
        raise Permanent("webhook.under_way", "This delivery is under way; it is tried again by itself.")
    send(session, row)
    return True


@dataclass(frozen=True)
class Range:
    """What a replay is of: the endpoint's events that were written in [since, until). `delivered`: those too that
    arrived; else what failed and what never was a delivery, because the endpoint was disabled or not there yet."""

    endpoint_id: uuid.UUID
    since: datetime
    until: datetime
    delivered: bool = False


_PAGE = text(f"""
    WITH endpoint AS MATERIALIZED (
        SELECT id, creator_id, types FROM webhook_endpoints WHERE id = :endpoint_id AND disabled_reason IS NULL
        FOR KEY SHARE
    ), page AS MATERIALIZED (
        SELECT e.id, e.type, e.subject_id, e.position, e.created_at FROM endpoint JOIN events AS e
        ON e.position > :after AND (endpoint.creator_id IS NULL OR e.creator_id = endpoint.creator_id)
        ORDER BY e.position LIMIT :rows
    ), made AS (
        INSERT INTO webhook_deliveries AS d (endpoint_id, event_id, subject_id, position, state, attempts)
        SELECT endpoint.id, event.id, event.subject_id, event.position, 'sending', 0 FROM endpoint, page AS event
        WHERE event.created_at >= :since AND event.created_at < :until AND {WANTED}
        ON CONFLICT (endpoint_id, event_id) DO UPDATE SET {_FROM_THE_START}
        WHERE d.state = 'failed' OR d.state = 'delivered' AND :delivered
        RETURNING event_id, position
    )
    SELECT (SELECT count(*) FROM page) AS seen, (SELECT max(position) FROM page) AS upto,
           ARRAY(SELECT event_id FROM made ORDER BY position) AS made
""")  # noqa: S608 - of constants


def replay(session: Session, of: Range, after: int) -> tuple[int, int | None]:
    """Sends what the range lacks among the next ROWS events behind the position `after`; returns how many, and from
    where to go on: None where nothing is left."""
    row = session.execute(_PAGE, vars(of) | {"after": after, "rows": ROWS}).one()
    sent = send(session, [(of.endpoint_id, event_id) for event_id in row.made])
    return sent, row.upto if row.seen == ROWS else None


_SWEEP = text("""
    UPDATE webhook_deliveries AS d SET state = 'sending'
    WHERE (endpoint_id, event_id) IN (
        SELECT endpoint_id, event_id FROM webhook_deliveries AS w
        WHERE state = 'waiting' AND NOT EXISTS (
            SELECT FROM webhook_deliveries AS earlier
            WHERE earlier.endpoint_id = w.endpoint_id AND earlier.subject_id = w.subject_id
              AND earlier.position < w.position AND earlier.state IN ('sending', 'waiting')
        )
        LIMIT :rows FOR UPDATE SKIP LOCKED
    )
    RETURNING endpoint_id, event_id
""")


def sweep(session: Session) -> int:
    """Calls what waits behind nothing, whose predecessor ended without its handler; returns how many."""
    return send(session, session.execute(_SWEEP, {"rows": ROWS}).all())
