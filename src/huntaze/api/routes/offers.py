"""Offers of a creator: written, promised, held back, taken."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import not_found, problems
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.offers import (
    OfferChange,
    OfferPage,
    OfferRequest,
    OfferView,
    RedeemRequest,
    RedemptionView,
)
from huntaze.api.services import Services, ServicesOf
from huntaze.models import offer_redeem, offer_store
from huntaze.models.offer_redeem import Wanted
from huntaze.models.offer_store import Seen
from huntaze.pipelines.offers.states import Action, OfferState

router = APIRouter(prefix="/v1/offers", tags=["offers"])

_NONE = ("offer.not_found", "There is no offer with this id.")
_NOT = ("offer.not_allowed", "An offer that is expired cannot be the subject of `pause`.")
_TAKEN = ("offer.code_taken", "Another offer that has not ended has this code.")
_USED_UP = ("offer.exhausted", "This offer is used up.")


@router.post("", status_code=201, responses=problems(400, 409, 413, s409=_TAKEN), summary="Write an offer")
def create_offer(body: OfferRequest, services: ServicesOf, caller: Writer) -> OfferView:
    """A draft. Its end must be after its start; offers may overlap, each redemption is of one of them."""
    with services.sessions.begin() as session:
        return OfferView.of(offer_store.create(session, caller.creator_id, body.model_dump()))


@router.get("", responses=problems(), summary="List offers")
def list_offers(
    services: ServicesOf,
    caller: Reader,
    state: Annotated[OfferState | None, Query(description="as it is now, by the clock")] = None,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> OfferPage:
    """Newest first."""
    with services.statements() as session:
        found = offer_store.search(session, creator_id=caller.creator_id, state=state, before=cursor, limit=limit + 1)
    page = [OfferView.of(seen) for seen in found[:limit]]
    return OfferPage(offers=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{offer_id}", responses=problems(404, s404=_NONE), summary="See an offer")
def show_offer(offer_id: uuid.UUID, services: ServicesOf, caller: Reader) -> OfferView:
    """As it is now, by the clock."""
    with services.statements() as session:
        return _view(offer_store.get(session, offer_id, caller.creator_id))


def _view(seen: Seen | None) -> OfferView:
    if seen is None:
        raise not_found("offer")
    return OfferView.of(seen)


@router.patch("/{offer_id}", responses=problems(400, 404, 409, 413, s404=_NONE, s409=_NOT), summary="Change an offer")
def change_offer(offer_id: uuid.UUID, body: OfferChange, services: ServicesOf, caller: Writer) -> OfferView:
    """A draft in all, an offer that is promised in its terms too; later its name, audience, end and limits only. A
    higher quota brings back what was exhausted."""
    with services.sessions.begin() as session:
        return _view(offer_store.change(session, offer_id, caller.creator_id, body.values()))


def _act(services: Services, caller: Caller, offer_id: uuid.UUID, action: Action) -> OfferView:
    with services.sessions.begin() as session:
        return _view(offer_store.act(session, offer_id, caller.creator_id, action))


@router.post("/{offer_id}/schedule", responses=problems(404, 409, s404=_NONE, s409=_NOT), summary="Promise an offer")
def schedule_offer(offer_id: uuid.UUID, services: ServicesOf, caller: Writer) -> OfferView:
    """A start that is past, or none, makes it active at once; an end that is past is refused."""
    return _act(services, caller, offer_id, Action.SCHEDULE)


@router.post("/{offer_id}/pause", responses=problems(404, 409, s404=_NONE, s409=_NOT), summary="Hold an offer back")
def pause_offer(offer_id: uuid.UUID, services: ServicesOf, caller: Writer) -> OfferView:
    """Time goes on: its end comes all the same."""
    return _act(services, caller, offer_id, Action.PAUSE)


@router.post("/{offer_id}/resume", responses=problems(404, 409, s404=_NONE, s409=_NOT), summary="Go on with an offer")
def resume_offer(offer_id: uuid.UUID, services: ServicesOf, caller: Writer) -> OfferView:
    """Active, or scheduled if its start is to come."""
    return _act(services, caller, offer_id, Action.RESUME)


@router.post("/{offer_id}/cancel", responses=problems(404, 409, s404=_NONE, s409=_NOT), summary="Take an offer back")
def cancel_offer(offer_id: uuid.UUID, services: ServicesOf, caller: Writer) -> OfferView:
    """For good; what was redeemed stays redeemed. Repeating does no harm."""
    return _act(services, caller, offer_id, Action.CANCEL)


@router.post(
    "/redeem",
    status_code=201,
    responses=problems(400, 404, 409, 413, s404=_NONE, s409=_USED_UP),
    summary="Redeem an offer",
)
def redeem_offer(body: RedeemRequest, services: ServicesOf, caller: Writer, response: Response) -> RedemptionView:
    """By id or code. Never beyond the quota or a fan's share, however many ask at once; the same `reference` again gets
    the same answer, with 200. 409: `offer.not_active`, `offer.exhausted`, `offer.once_a_fan`, `offer.not_for_fan`."""
    wanted = Wanted(body.fan_id, frozenset(body.segments), body.price_minor, body.currency, body.reference)
    with services.sessions.begin() as session:
        offer_id = body.offer_id or offer_store.find_by_code(session, caller.creator_id, body.code or "")
        found = None if offer_id is None else offer_redeem.redeem(session, offer_id, caller.creator_id, wanted)
        if found is None:
            raise not_found("offer")
        redemption, made = found
        response.status_code = 201 if made else 200
        return RedemptionView.of(redemption)
