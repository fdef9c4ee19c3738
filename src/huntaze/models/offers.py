"""Offers of creators, and who took them."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, String, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id
from huntaze.pipelines.offers.states import ENDS_BY_TIME, LIVE, OfferState


def _one_of(states: tuple[OfferState, ...]) -> str:
    return f"state IN ({', '.join(repr(state.value) for state in states)})"


class Offer(Base):
    """A price or a share off, for a time, for some fans, so many times. `by_the_clock` of the state that stands here is
    the true one."""

    __tablename__ = "offers"
    __table_args__ = (
        CheckConstraint(_one_of(tuple(OfferState)), name="state_known"),
        CheckConstraint("num_nonnulls(price_minor, percent_off_bp) = 1", name="price_or_percent"),
        CheckConstraint("(price_minor IS NULL) = (currency IS NULL)", name="price_has_currency"),
        CheckConstraint("price_minor >= 0 AND percent_off_bp BETWEEN 1 AND 10000", name="terms_in_range"),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("starts_at IS NOT NULL OR state IN ('draft', 'cancelled')", name="promised_has_start"),
        CheckConstraint("redeemed >= 0 AND redeemed <= quota", name="quota_kept"),
        CheckConstraint("per_fan > 0", name="per_fan_positive"),
        # Of all offers of a creator that have not ended, one has a code.
        Index(
            "uq_offers_code",
            *("creator_id", "code"),
            unique=True,
            postgresql_where=f"code IS NOT NULL AND {_one_of(LIVE)}",
        ),
        Index("ix_offers_starts", "starts_at", postgresql_where="state = 'scheduled'"),
        Index("ix_offers_ends", "ends_at", postgresql_where=_one_of(ENDS_BY_TIME)),
        Index(None, "creator_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    code: Mapped[str | None] = mapped_column(String(64))  # upper case; None: found by its id alone
    price_minor: Mapped[int | None] = mapped_column(BigInteger)  # of `currency`
    currency: Mapped[str | None] = mapped_column(String(3))
    percent_off_bp: Mapped[int | None]  # hundredths of a percent
    audience: Mapped[list[str]] = mapped_column(ARRAY(String(32)))  # a fan of any of these segments; none: everybody
    starts_at: Mapped[datetime | None]  # None, for a draft: when it is scheduled
    ends_at: Mapped[datetime | None]  # None: open
    time_zone: Mapped[str] = mapped_column(String(64))  # IANA, in which the creator thinks of its times
    quota: Mapped[int | None] = mapped_column(Integer)  # None: any number
    per_fan: Mapped[int | None] = mapped_column(SmallInteger)  # None: any number
    redeemed: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16), default=OfferState.DRAFT)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class OfferRedemption(Base):
    """A fan took an offer. `number`: which of this fan's; unique, so that no race gives one too many."""

    __tablename__ = "offer_redemptions"
    __table_args__ = (
        Index("uq_offer_redemptions_fan", "offer_id", "fan_id", "number", unique=True),
        Index("uq_offer_redemptions_reference", "offer_id", "reference", unique=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    offer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("offers.id", ondelete="CASCADE"))
    fan_id: Mapped[str] = mapped_column(String(64))  # the platform's, which knows its fans
    number: Mapped[int]
    reference: Mapped[str] = mapped_column(String(255))  # the caller's: an order. A repeat finds what it got
    price_minor: Mapped[int] = mapped_column(BigInteger)  # the usual price
    pays_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    redeemed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
