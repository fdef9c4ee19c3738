"""The gateway of a machine without one: no money, and outcomes that the method's token says.

`ok`, `decline`, `decline:<code>`, `decline_hard:<code>`, `action`, and `<n>*<token>;<token>`: the first for so many
attempts at an invoice, then the other: `2*decline;ok`. `unknown`: no answer at first, then what comes after the `;`
under the same key: `unknown;ok`. Any other token is `ok`.
"""

import re
import threading
import uuid

from huntaze.clients.payments.gateway import PaymentMethod
from huntaze.pipelines.payments.outcomes import Declined, Outcome, RequiresAction, Succeeded, Unknown

_TIMES = re.compile(r"(\d+)\*([^;]+);(.+)")
_REMEMBERED = 100_000


class EmbeddedGateway:
    """Safe to share between threads. What it answered stands in its memory alone: the same key, the same answer."""

    name = "embedded"

    def __init__(self) -> None:
        self.moved: dict[str, int] = {}  # {idempotency key: minor units}; refunds are negative
        self._silent: set[str] = set()  # keys whose first call was not answered
        self._lock = threading.Lock()

    def charge(
        self,
        invoice_id: uuid.UUID,
        attempt: int,
        amount_minor: int,
        currency: str,  # noqa: ARG002 - of the port
        method: PaymentMethod,
        idempotency_key: str,
    ) -> Outcome:
        token = method.token
        if times := _TIMES.fullmatch(token):
            token = times[2] if attempt <= int(times[1]) else times[3]
        kind, _, rest = token.partition(";")
        with self._lock:
            if kind == "unknown" and idempotency_key not in self._silent:
                self._silent.add(idempotency_key)
                if rest == "ok":  # the money moved, only the answer was lost
                    self._move(idempotency_key, amount_minor)
                return Unknown("no answer")
            outcome = _outcome(rest or "ok" if kind == "unknown" else kind, f"embedded-{invoice_id}-{attempt}")
            if isinstance(outcome, Succeeded):
                self._move(idempotency_key, amount_minor)
        return outcome

    def refund(self, reference: str, amount_minor: int, currency: str, idempotency_key: str) -> Outcome:  # noqa: ARG002
        with self._lock:
            self._move(idempotency_key, -amount_minor)
        return Succeeded(f"{reference}-refund-{idempotency_key[:8]}")

    def _move(self, key: str, amount_minor: int) -> None:
        if len(self.moved) >= _REMEMBERED:
            self.moved.pop(next(iter(self.moved)))
        self.moved.setdefault(key, amount_minor)


def _outcome(token: str, reference: str) -> Outcome:
    kind, _, code = token.partition(":")
    if kind in ("decline", "decline_hard"):
        return Declined(code or "insufficient_funds", retryable=kind == "decline", reference=reference)
    return RequiresAction(reference) if kind == "action" else Succeeded(reference)
