"""Stripe's webhooks: whether they are Stripe's, and what they say."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from huntaze.clients.payments import stripe_disputes
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.payments.outcomes import (
    Declined,
    DisputeNotice,
    Notice,
    Outcome,
    RequiresAction,
    Succeeded,
    Unknown,
)

TOLERANCE_S = 300
_HANDLED = frozenset(
    f"payment_intent.{what}" for what in ("succeeded", "payment_failed", "requires_action", "processing", "canceled")
)


def verify(body: bytes, signature: str, secret: str, tolerance_s: int = TOLERANCE_S) -> dict[str, Any]:
    """The event, if it was signed with the secret within the tolerance. Raises Permanent(`webhook.bad_signature`,
    `webhook.malformed`)."""
    from stripe import SignatureVerificationError, WebhookSignature  # half a second, which only this route needs

    try:
        WebhookSignature.verify_header(body, signature, secret, tolerance_s)
        event = json.loads(body)
    except SignatureVerificationError:
        raise Permanent("webhook.bad_signature", "The signature is wrong or too old.") from None
    except ValueError:  # no UTF-8, no JSON
        raise Permanent("webhook.malformed", "The body is not JSON.") from None
    known = isinstance(event, dict) and isinstance(event.get("id"), str) and isinstance(event.get("type"), str)
    # What PostgreSQL cannot store has no place in an event.
    if not known or b"\\u0000" in body or not 0 < len(event["id"]) <= 255 or len(event["type"]) > 64:
        raise Permanent("webhook.malformed", "This is not an event of Stripe.")
    return dict(event)


def notice_of(event: Mapping[str, Any]) -> Notice | DisputeNotice | None:
    """What an event says of an attempt of ours, or of a dispute; None for other types, and intents that we did not
    make. Raises what `stripe_disputes.dispute_of` does."""
    if str(event.get("type")).startswith(stripe_disputes.PREFIX):
        return stripe_disputes.dispute_of(event)
    if event.get("type") not in _HANDLED:
        return None
    try:
        intent = event["data"]["object"]
        invoice_id, attempt = uuid.UUID(intent["metadata"]["invoice_id"]), int(intent["metadata"]["attempt"])
        if not isinstance(intent["id"], str):
            return None
        return Notice(invoice_id, attempt, outcome_of(intent))
    except (KeyError, TypeError, ValueError):
        return None


def outcome_of(intent: Mapping[str, Any]) -> Outcome:
    """What a PaymentIntent's status means. Raises KeyError for what is no PaymentIntent."""
    status, reference = intent["status"], str(intent["id"])
    if status == "succeeded":
        return Succeeded(reference)
    if status in ("requires_action", "processing"):
        return RequiresAction(reference)
    if status in ("requires_payment_method", "canceled"):
        error = intent.get("last_payment_error") or {}
        code = error.get("decline_code") or error.get("code") or status
        return Declined(str(code)[:64], retryable=status != "canceled", reference=reference)
    return Unknown(f"PaymentIntent is {status}")
