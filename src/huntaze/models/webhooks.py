"""Webhooks: who wants to be told of what, and what became of each telling."""

import enum
import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class DisabledReason(enum.StrEnum):
    """Why an endpoint gets nothing."""

    ASKED = "asked"  # its owner switched it off
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # five days without any success


class DeliveryState(enum.StrEnum):
    """Where a delivery is: two states move, two are ends. A resend or a replay makes an end SENDING again."""

    # It has a job: it is tried, or waits for its next attempt. Comes from: the fan-out, a replay, WAITING.
    SENDING = "sending"
    # Behind an earlier one of the same subject at the same endpoint, and without a job. Leaves when that one ends.
    WAITING = "waiting"
    # The endpoint answered 2xx.
    DELIVERED = "delivered"
    # Given up: error_code says why.
    FAILED = "failed"


class WebhookEndpoint(Base):
    """A URL that is told of events: a creator's own, or, without a creator, a partner's, which is told of all."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("(creator_id IS NULL) = (partner IS NOT NULL)", name="of_a_creator_or_a_partner"),
        CheckConstraint("disabled_reason IN ('asked', 'gone', 'failing')", name="reason_known"),
        CheckConstraint("cardinality(types) BETWEEN 1 AND 50", name="types_some"),
        Index(None, "creator_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    partner: Mapped[str | None] = mapped_column(String(100))  # what operators call a partner
    url: Mapped[str] = mapped_column(String(2048))
    types: Mapped[list[str]] = mapped_column(ARRAY(String(64)))  # video.analyzed, video.*, *
    description: Mapped[str | None] = mapped_column(String(255))
    disabled_reason: Mapped[str | None] = mapped_column(String(16))  # None: it is told
    failing_since: Mapped[datetime | None]  # the first failure after the last success
    throttled_until: Mapped[datetime | None]  # it asked for less: nothing is sent before
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class WebhookSecret(Base):
    """What a secret is derived from, together with a key that the database does not have. The newest without an end
    signs; after a rotation the one before it signs too, until its end."""

    __tablename__ = "webhook_secrets"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True)
    salt: Mapped[bytes]  # 16 random bytes
    key_id: Mapped[str] = mapped_column(String(16))  # which of the fleet's keys
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One event for one endpoint. The event's id is the message's: a receiver that has seen it has seen the event."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('sending', 'waiting', 'delivered', 'failed')", name="state_known"),
        CheckConstraint("(state = 'failed') = (error_code IS NOT NULL)", name="failed_has_code"),
        CheckConstraint("(state IN ('delivered', 'failed')) = (ended_at IS NOT NULL)", name="ended_has_end"),
        # The lane of a subject at an endpoint: what is still to come, in order.
        Index(
            "ix_webhook_deliveries_lane",
            *("endpoint_id", "subject_id", "position"),
            postgresql_where="state IN ('sending', 'waiting')",
        ),
        Index("ix_webhook_deliveries_waiting", "endpoint_id", postgresql_where="state = 'waiting'"),
        Index(None, "endpoint_id", "position"),
        Index(None, "event_id"),
    )

    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
    )
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True)
    subject_id: Mapped[uuid.UUID]  # of the event, as is the position
    position: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16), default=DeliveryState.SENDING)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)  # of this round: a resend begins at 0 again
    status: Mapped[int | None] = mapped_column(SmallInteger)  # of the last attempt; None: nothing was answered
    error_code: Mapped[str | None] = mapped_column(String(64))
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One request that went out, or was to."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["endpoint_id", "event_id"],
            ["webhook_deliveries.endpoint_id", "webhook_deliveries.event_id"],
            name="fk_webhook_attempts_delivery",
            ondelete="CASCADE",
        ),
        Index(None, "endpoint_id", "event_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint_id: Mapped[uuid.UUID]
    event_id: Mapped[uuid.UUID]
    ended_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    seconds: Mapped[float]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(Text)  # a stable code, where nothing was answered
