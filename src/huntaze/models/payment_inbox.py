"""The inbox of payment gateways: a message is stored once, then made something of by a job."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import job_enqueue
from huntaze.models.base import new_id
from huntaze.models.billing_payments import InboxMessage
from huntaze.models.job_args import PaymentNotice

_STORE = text("""
    INSERT INTO payment_inbox (id, source, external_id, type, payload)
    VALUES (:id, :source, :external_id, :type, CAST(:payload AS jsonb))
    ON CONFLICT (source, external_id) DO NOTHING RETURNING id
""")


def receive(session: Session, source: str, external_id: str, type: str, payload: Mapping[str, Any]) -> bool:
    """Stores a message and the job that reads it, in one transaction; False if it came before."""
    message_id = new_id()
    values = {"id": message_id, "source": source, "external_id": external_id, "type": type}
    if session.execute(_STORE, {**values, "payload": json.dumps(payload)}).one_or_none() is None:
        return False
    job_enqueue.enqueue(session, PaymentNotice(message_id=message_id), subject_id=message_id)
    return True


def load(session: Session, message_id: uuid.UUID) -> InboxMessage:
    """Raises NoResultFound."""
    return session.get_one(InboxMessage, message_id)


def note(session: Session, message_id: uuid.UUID, outcome: str) -> datetime:
    """Writes down what was made of a message; returns the database's time."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    message = session.get_one(InboxMessage, message_id)
    message.handled_at, message.outcome = now, outcome
    return now
