"""A fan takes an offer: once for a reference, never beyond quota or share, however many ask at once.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Set
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store, offer_store
from huntaze.models.offers import Offer, OfferRedemption
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.offers.states import OfferState
from huntaze.pipelines.offers.terms import Terms, pays


@dataclass(frozen=True)
class Wanted:
    """What a fan wants: `segments` are the fan's, `price_minor` is the usual price in minor units of `currency`,
    `reference` the caller's name for this one redemption (an order)."""

    fan_id: str
    segments: Set[str]
    price_minor: int
    currency: str
    reference: str


# The count and its bound in one statement: the constraint on the table is the second lock on the same door.
_COUNT = text("""
    UPDATE offers SET redeemed = redeemed + 1
    WHERE id = :id AND state = 'active' AND (quota IS NULL OR redeemed < quota)
    RETURNING redeemed
""")


def redeem(
    session: Session, offer_id: uuid.UUID, creator_id: uuid.UUID, wanted: Wanted
) -> tuple[OfferRedemption, bool] | None:
    """The redemption, and whether this call made it: a reference that came before gets what it got then.

    Raises Permanent: `offer.not_active`, `offer.exhausted`, `offer.not_for_fan`, `offer.once_a_fan`, `offer.currency`,
    `request.key_reused` (the reference was another fan's, or of another price). None: no such offer for this creator.
    """
    held = offer_store.hold(session, offer_id, creator_id)  # one at a time for each offer, from here to the commit
    if held is None:
        return None
    offer, _ = held
    earlier = _find(session, offer_id, wanted.reference)
    if earlier is not None:
        return _same(earlier, wanted), False
    _check(offer, wanted)
    number = _next_number(session, offer, wanted.fan_id)
    terms = Terms(offer.price_minor, offer.currency, offer.percent_off_bp)
    redemption = OfferRedemption(
        offer_id=offer.id,
        fan_id=wanted.fan_id,
        number=number,
        reference=wanted.reference,
        price_minor=wanted.price_minor,
        pays_minor=pays(terms, wanted.price_minor, wanted.currency),
        currency=wanted.currency,
    )
    _take(session, offer, redemption)
    return redemption, True


def _find(session: Session, offer_id: uuid.UUID, reference: str) -> OfferRedemption | None:
    query = select(OfferRedemption).where(OfferRedemption.offer_id == offer_id, OfferRedemption.reference == reference)
    return session.scalars(query).one_or_none()


def _same(earlier: OfferRedemption, wanted: Wanted) -> OfferRedemption:
    before = (earlier.fan_id, earlier.price_minor, earlier.currency)
    if before != (wanted.fan_id, wanted.price_minor, wanted.currency):
        raise Permanent("request.key_reused", "This reference was used for another redemption; use a new one.")
    return earlier


def _check(offer: Offer, wanted: Wanted) -> None:
    if offer.state == OfferState.EXHAUSTED:
        raise Permanent("offer.exhausted", "This offer is used up.")
    if offer.state != OfferState.ACTIVE:
        raise Permanent("offer.not_active", f"This offer is {offer.state}.")
    if offer.audience and not wanted.segments & set(offer.audience):
        raise Permanent("offer.not_for_fan", "This offer is for other fans.")


def _next_number(session: Session, offer: Offer, fan_id: str) -> int:
    query = select(func.count()).where(OfferRedemption.offer_id == offer.id, OfferRedemption.fan_id == fan_id)
    number = session.execute(query).scalar_one() + 1
    if offer.per_fan is not None and number > offer.per_fan:
        raise Permanent("offer.once_a_fan", f"A fan can redeem this offer {offer.per_fan} times; this one has.")
    return number


def _take(session: Session, offer: Offer, redemption: OfferRedemption) -> None:
    counted = session.execute(_COUNT, {"id": offer.id}).scalar_one_or_none()
    if counted is None:
        raise Permanent("offer.exhausted", "This offer is used up.")
    session.add(redemption)
    session.flush()
    session.refresh(offer)
    data = {"offer_id": str(offer.id), "fan_id": redemption.fan_id, "redemption_id": str(redemption.id)}
    data |= {"pays_minor": redemption.pays_minor, "currency": redemption.currency}  # type: ignore[dict-item]
    event_store.emit(session, offer.creator_id, "offer.redeemed", offer.id, data)
    if counted == offer.quota:
        offer_store.move(session, offer, OfferState.EXHAUSTED)
