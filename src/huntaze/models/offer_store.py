"""All SQL of offers but the moves that come by the clock, which are in `offers_due.py`.

`session` is the caller's transaction; nothing here commits. Each change holds the offer's row, and first lets the row
catch up with the database's clock, so that the events of an offer tell its whole story in order.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from huntaze.models import event_store, offers_due
from huntaze.models.offers import Offer
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.offers.states import (
    ENDS_BY_TIME,
    Action,
    OfferState,
    after,
    by_the_clock,
    check_change,
    check_times,
    with_quota,
)
from huntaze.pipelines.offers.terms import instant

_FRESH = {"populate_existing": True}
_TOLD = {
    OfferState.SCHEDULED: "offer.scheduled",
    OfferState.ACTIVE: "offer.activated",
    OfferState.PAUSED: "offer.paused",
    OfferState.EXHAUSTED: "offer.exhausted",
    OfferState.EXPIRED: "offer.expired",
    OfferState.CANCELLED: "offer.cancelled",
}


@dataclass(frozen=True)
class Seen:
    """An offer as it is now: `state` is the true one, the row's may lag behind."""

    offer: Offer
    state: OfferState


# The same as `by_the_clock`, in SQL: for searches by state.
_TRUE_STATE: ColumnElement[str] = case(
    (Offer.state.in_(ENDS_BY_TIME) & (Offer.ends_at <= func.clock_timestamp()), OfferState.EXPIRED.value),
    ((Offer.state == OfferState.SCHEDULED) & (Offer.starts_at <= func.clock_timestamp()), OfferState.ACTIVE.value),
    else_=Offer.state,
)


def get(session: Session, offer_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Seen | None:
    """One offer, if it is this creator's; any for an operator (None)."""
    query = select(Offer, _TRUE_STATE).where(Offer.id == offer_id)
    query = query if creator_id is None else query.where(Offer.creator_id == creator_id)
    row = session.execute(query, execution_options=_FRESH).one_or_none()
    return None if row is None else Seen(row[0], OfferState(row[1]))


def search(
    session: Session,
    *,
    creator_id: uuid.UUID | None = None,
    state: OfferState | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> Sequence[Seen]:
    """Offers by their true state, newest first, below the cursor `before`."""
    query = select(Offer, _TRUE_STATE).order_by(Offer.id.desc()).limit(limit)
    if creator_id is not None:
        query = query.where(Offer.creator_id == creator_id)
    if state is not None:
        query = query.where(_TRUE_STATE.in_([state.value]))
    if before is not None:
        query = query.where(Offer.id < before)
    return [Seen(row[0], OfferState(row[1])) for row in session.execute(query)]


def create(session: Session, creator_id: uuid.UUID, values: Mapping[str, Any]) -> Seen:
    """A draft. `values`: columns; times without an offset are of `time_zone`, which is the creator's if it is None.

    Raises Permanent (`offer.times`, `offer.code_taken`).
    """
    zone = values.get("time_zone") or session.get_one(User, creator_id).time_zone
    values = {**values, "time_zone": zone, **_instants(values, zone)}
    check_times(values.get("starts_at"), values.get("ends_at"))
    if values.get("code"):
        offers_due.expire(session, offers_due.now(session), creator_id=creator_id)  # whose code is free by now
    offer = Offer(creator_id=creator_id, state=OfferState.DRAFT, redeemed=0, **values)
    session.add(offer)
    _flush(session)
    return Seen(offer, OfferState.DRAFT)


def _instants(values: Mapping[str, Any], zone: str) -> dict[str, datetime]:
    names = ("starts_at", "ends_at")
    return {name: instant(values[name], zone) for name in names if values.get(name) is not None}


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        if "uq_offers_code" in str(error.orig):
            raise Permanent("offer.code_taken", "Another offer that has not ended has this code.") from None
        raise


def hold(session: Session, offer_id: uuid.UUID, creator_id: uuid.UUID | None) -> tuple[Offer, datetime] | None:
    """The offer's row, locked and caught up with the clock, and that clock's time."""
    query = select(Offer).where(Offer.id == offer_id)
    query = query if creator_id is None else query.where(Offer.creator_id == creator_id)
    offer = session.scalars(query.with_for_update(key_share=True), execution_options=_FRESH).one_or_none()
    if offer is None:
        return None
    now = offers_due.now(session)  # after the lock: it may have been waited for
    move(session, offer, by_the_clock(OfferState(offer.state), offer.starts_at, offer.ends_at, now))
    return offer, now


def move(session: Session, offer: Offer, state: OfferState) -> None:
    """Sets the state of a held offer, and tells it if that is news."""
    if offer.state == state:
        return
    before, offer.state = offer.state, state
    _flush(session)
    resumed = before == OfferState.PAUSED and state in (OfferState.ACTIVE, OfferState.SCHEDULED)
    event_store.emit(
        session, offer.creator_id, "offer.resumed" if resumed else _TOLD[state], offer.id, told(offer, before)
    )


def told(offer: Offer, before: str) -> dict[str, Any]:
    """What an event says of an offer."""
    return {"offer_id": str(offer.id), "name": offer.name, "code": offer.code, "state": offer.state, "before": before}


def act(session: Session, offer_id: uuid.UUID, creator_id: uuid.UUID | None, action: Action) -> Seen | None:
    """Schedules, pauses, resumes or cancels. A draft without a start starts now; one whose start is past is active at
    once. Raises Permanent (`offer.not_allowed`, `offer.times`). None: no such offer for this creator."""
    held = hold(session, offer_id, creator_id)
    if held is None:
        return None
    offer, now = held
    state = after(OfferState(offer.state), action, offer.starts_at, now)
    if action == Action.SCHEDULE:
        offer.starts_at = offer.starts_at or now
        check_times(offer.starts_at, offer.ends_at, now)
    move(session, offer, with_quota(state, offer.quota, offer.redeemed))
    return Seen(offer, OfferState(offer.state))


def change(
    session: Session, offer_id: uuid.UUID, creator_id: uuid.UUID | None, values: Mapping[str, Any]
) -> Seen | None:
    """Sets columns. Raises Permanent (`offer.not_allowed`, `offer.times`, `offer.quota_too_low`). None: no such offer
    for this creator."""
    held = hold(session, offer_id, creator_id)
    if held is None:
        return None
    offer, now = held
    state = OfferState(offer.state)
    check_change(state, values.keys())
    if "starts_at" in values and values["starts_at"] is None and state != OfferState.DRAFT:
        raise Permanent("offer.times", "Only a draft can be without a start.")
    zone = values.get("time_zone") or offer.time_zone
    for name, value in {**values, **_instants(values, zone)}.items():
        setattr(offer, name, value)
    check_times(offer.starts_at, offer.ends_at, None if state == OfferState.DRAFT else now)
    state = with_quota(state, offer.quota, offer.redeemed)
    _flush(session)
    move(session, offer, by_the_clock(state, offer.starts_at, offer.ends_at, now))
    return Seen(offer, OfferState(offer.state))


def find_by_code(session: Session, creator_id: uuid.UUID, code: str) -> uuid.UUID | None:
    """The creator's offer of this code that has not ended, else the last that had it."""
    query = select(Offer.id).where(Offer.creator_id == creator_id, Offer.code == code)
    ended = or_(Offer.state == OfferState.EXPIRED, Offer.state == OfferState.CANCELLED)
    return session.scalars(query.order_by(ended, Offer.id.desc()).limit(1)).one_or_none()
