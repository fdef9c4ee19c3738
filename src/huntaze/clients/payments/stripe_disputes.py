"""Stripe's disputes, of whatever event: each tells the whole story so far. https://docs.stripe.com/api/disputes"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from huntaze.clients.payments.stripe_amounts import minor_amount
from huntaze.pipelines.payments.outcomes import DisputeNotice, DisputeState, Movement

PREFIX = "charge.dispute."
# Appeals are open again. `prevented` and the end of a warning (an inquiry) leave the money where it is.
_STATES = {
    "won": DisputeState.WON,
    "warning_closed": DisputeState.WON,
    "prevented": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def dispute_of(event: Mapping[str, Any]) -> DisputeNotice | None:
    """What a `charge.dispute.*` event says; None where no PaymentIntent is behind it. Raises KeyError, TypeError,
    ValueError, Permanent for what is no dispute: somebody has to look, as money may have moved."""
    dispute = event["data"]["object"]
    intent = dispute["payment_intent"]
    reference = intent["id"] if isinstance(intent, Mapping) else intent
    if reference is None:
        return None
    currency = str(dispute["currency"]).upper()
    disputed = minor_amount(dispute["amount"], currency)
    return DisputeNotice(
        reference=str(reference),
        external_id=str(dispute["id"]),
        state=_STATES.get(dispute["status"], DisputeState.OPEN),
        reason=str(dispute["reason"])[:64],
        amount_minor=disputed,
        currency=currency,
        told_at=datetime.fromtimestamp(event["created"], UTC),
        movements=tuple(
            moved for one in dispute["balance_transactions"] for moved in _movements(one, disputed, currency)
        ),
    )


def _movements(transaction: Mapping[str, Any], disputed: int, currency: str) -> list[Movement]:
    """The money and the fee. In another currency than the charge's Stripe says what its own account lost: of the
    charge that was all that is disputed."""
    theirs = str(transaction["currency"]).upper()
    amount, fee = minor_amount(transaction["amount"], theirs), minor_amount(transaction["fee"], theirs)
    if theirs != currency:
        amount = disputed if amount > 0 else -disputed
    moved = [
        Movement(f"{transaction['id']}:funds", amount, currency),
        Movement(f"{transaction['id']}:fee", -fee, theirs),
    ]
    return [one for one in moved if one.amount_minor]
