"""The outcomes of a charge or a refund, and what gateways tell by themselves, whoever the gateway is."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class Succeeded:
    """Money moved. `reference`: the gateway's id of the movement. `amount_minor`: what moved; None: what was asked."""

    reference: str
    amount_minor: int | None = None


@dataclass(frozen=True)
class RequiresAction:
    """The customer or their bank has to do something first; a notice will tell what came of it."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """No money moved. `retryable`: the same method may be asked again, with a new key."""

    code: str
    retryable: bool
    reference: str | None = None


@dataclass(frozen=True)
class Unknown:
    """Money may have moved. Only the same key may be used again."""

    reason: str


Outcome = Succeeded | RequiresAction | Declined | Unknown


@dataclass(frozen=True)
class Notice:
    """What a gateway tells by itself: the outcome of one attempt at an invoice, perhaps for the second time."""

    invoice_id: uuid.UUID
    attempt: int
    outcome: Outcome


class DisputeState(StrEnum):
    """Where a customer's objection at their bank stands. Only its movements say where the money is."""

    OPEN = "open"  # being asked, contested, appealed
    WON = "won"  # or ended without a decision: the payment stands
    LOST = "lost"  # the payment was taken back


@dataclass(frozen=True)
class Movement:
    """Money of a dispute, as our account sees it: taken (negative), given back, or a fee. `key`: the gateway's."""

    key: str
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class DisputeNotice:
    """A dispute as it stood at `told_at`, with every movement until then. `reference`: of the payment."""

    reference: str
    external_id: str
    state: DisputeState
    reason: str
    amount_minor: int
    currency: str
    told_at: datetime
    movements: tuple[Movement, ...] = ()
