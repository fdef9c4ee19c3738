"""The states of an offer, and every way from one to another."""

import enum
from collections.abc import Set
from datetime import datetime

from huntaze.pipelines.errors import Permanent


class OfferState(enum.StrEnum):
    """Where an offer is. Two states are ends; the stored one may lag behind the clock, `by_the_clock` never does."""

    # Being written; nobody sees it. Comes from: create. Leaves by: schedule, cancel.
    DRAFT = "draft"
    # Promised, its start is to come. Leaves by: its start, pause, cancel, its end.
    SCHEDULED = "scheduled"
    # Fans redeem it. Comes from: its start, a schedule whose start is past, resume, a raised quota. Leaves by: pause,
    # cancel, the last of the quota, its end.
    ACTIVE = "active"
    # Held back by its creator, before or after its start; time goes on. Leaves by: resume, cancel, its end.
    PAUSED = "paused"
    # The quota is used up. A higher quota brings it back, if its end has not come. Leaves by: that, cancel, its end.
    EXHAUSTED = "exhausted"
    # Its end has come. For good.
    EXPIRED = "expired"
    # Taken back by its creator. For good.
    CANCELLED = "cancelled"


class Action(enum.StrEnum):
    """What a creator does to an offer."""

    SCHEDULE = "schedule"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


ENDS_BY_TIME = (OfferState.SCHEDULED, OfferState.ACTIVE, OfferState.PAUSED, OfferState.EXHAUSTED)
LIVE = (OfferState.DRAFT, *ENDS_BY_TIME)

_FROM: dict[Action, Set[OfferState]] = {
    Action.SCHEDULE: {OfferState.DRAFT},
    Action.PAUSE: {OfferState.SCHEDULED, OfferState.ACTIVE},
    Action.RESUME: {OfferState.PAUSED},
    Action.CANCEL: set(LIVE),
}
_DONE = {(Action.PAUSE, OfferState.PAUSED), (Action.CANCEL, OfferState.CANCELLED)}
# In which states a field may still be changed.
_CHANGEABLE = {
    "name": set(LIVE),
    "audience": set(LIVE),
    "ends_at": set(LIVE),
    "quota": set(LIVE),
    "per_fan": set(LIVE),
    # What fans have been shown stays.
    "code": {OfferState.DRAFT},
    "price_minor": {OfferState.DRAFT, OfferState.SCHEDULED},
    "currency": {OfferState.DRAFT, OfferState.SCHEDULED},
    "percent_off_bp": {OfferState.DRAFT, OfferState.SCHEDULED},
    "starts_at": {OfferState.DRAFT, OfferState.SCHEDULED},
    "time_zone": set(LIVE),
}


def by_the_clock(state: OfferState, starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> OfferState:
    """The true state at `now` of an offer that is stored as `state`. Its period is [starts_at, ends_at)."""
    if state in ENDS_BY_TIME and ends_at is not None and ends_at <= now:
        return OfferState.EXPIRED
    if state == OfferState.SCHEDULED and starts_at is not None and starts_at <= now:
        return OfferState.ACTIVE
    return state


def after(state: OfferState, action: Action, starts_at: datetime | None, now: datetime) -> OfferState:
    """The state that an action leads to, from the true one. A pause of what is paused, a cancel of what is cancelled do
    nothing.

    Raises Permanent (`offer.not_allowed`).
    """
    if (action, state) in _DONE:
        return state
    if state not in _FROM[action]:
        raise Permanent("offer.not_allowed", f"An offer that is {state} cannot be the subject of `{action}`.")
    if action == Action.PAUSE:
        return OfferState.PAUSED
    if action == Action.CANCEL:
        return OfferState.CANCELLED
    return OfferState.SCHEDULED if starts_at is not None and starts_at > now else OfferState.ACTIVE


def with_quota(state: OfferState, quota: int | None, redeemed: int) -> OfferState:
    """The state once quota and redemptions are these. Raises Permanent (`offer.quota_too_low`)."""
    if quota is not None and redeemed > quota:
        raise Permanent("offer.quota_too_low", f"{redeemed} were redeemed already; the quota cannot be lower.")
    if state == OfferState.ACTIVE and redeemed == quota:
        return OfferState.EXHAUSTED
    return OfferState.ACTIVE if state == OfferState.EXHAUSTED and redeemed != quota else state


def check_change(state: OfferState, fields: Set[str]) -> None:
    """Raises Permanent (`offer.not_allowed`) for a field that is no longer to be changed."""
    fixed = sorted(name for name in fields if state not in _CHANGEABLE[name])
    if fixed:
        raise Permanent("offer.not_allowed", f"An offer that is {state} keeps its {', '.join(fixed)}.")


def check_times(starts_at: datetime | None, ends_at: datetime | None, now: datetime | None = None) -> None:
    """Raises Permanent (`offer.times`) for an end that is not after the start, or, with `now`, not after that."""
    if ends_at is not None and starts_at is not None and ends_at <= starts_at:
        raise Permanent("offer.times", "The end must be after the start.")
    if ends_at is not None and now is not None and ends_at <= now:
        raise Permanent("offer.times", "The end must be in the future.")
