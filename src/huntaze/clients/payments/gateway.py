"""The port of whoever moves money."""

import uuid
from dataclasses import dataclass
from typing import Protocol

from huntaze.pipelines.payments.outcomes import Outcome


@dataclass(frozen=True)
class PaymentMethod:
    """The gateway's own names of a customer and of a card or account. Numbers of cards never come here."""

    token: str
    customer: str | None = None


class PaymentGateway(Protocol):
    """Amounts are minor units of ISO 4217. A call that is repeated with its `idempotency_key` moves no money again.

    Raises Transient (`payments.rate_limited`) and Permanent (`payments.refused`, `payments.amount`) where it is certain
    that nothing moved and nothing was decided.
    """

    @property
    def name(self) -> str:
        """What stands in rows: embedded, stripe."""
        ...

    def charge(
        self,
        invoice_id: uuid.UUID,
        attempt: int,
        amount_minor: int,
        currency: str,
        method: PaymentMethod,
        idempotency_key: str,
    ) -> Outcome: ...

    def refund(self, reference: str, amount_minor: int, currency: str, idempotency_key: str) -> Outcome:
        """Gives back a part of what `reference` moved."""
        ...
