"""The outcomes of a charge or a refund, whoever the gateway is."""

import uuid
from dataclasses import dataclass


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
