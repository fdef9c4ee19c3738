"""Stripe as the gateway: a PaymentIntent an attempt, confirmed at once, without the customer present.

One table from Stripe's answers to outcomes; https://docs.stripe.com/api/errors, /declines/codes, /currencies.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import stripe
from stripe import StripeClient
from stripe._http_client import (
    HTTPClient,
)  # the base of a transport; the package exports it as the deprecated `http_client`

from huntaze.clients.payments import stripe_events
from huntaze.clients.payments.gateway import PaymentMethod
from huntaze.clients.payments.stripe_amounts import stripe_amount
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.payments.outcomes import Declined, Outcome, RequiresAction, Succeeded, Unknown
from huntaze.setting_groups import BillingSettings

API_VERSION = "2026-10-28.endive"  # of the requests and of the webhook endpoint: answers keep their shape

# https://docs.stripe.com/billing/revenue-recovery/smart-retries: another try with the same card is of no use.
_HARD = frozenset(
    {
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "stolen_card",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "highest_risk_level",
        "transaction_not_allowed",
    }
)


class StripeGateway:
    """Safe to share between threads."""

    name = "stripe"

    def __init__(self, settings: BillingSettings) -> None:
        assert settings.stripe_api_key is not None
        self._http = _Transport(settings.timeout_s)
        self._stripe = StripeClient(
            settings.stripe_api_key.get_secret_value(),
            stripe_version=API_VERSION,
            base_addresses={"api": settings.stripe_base_url.rstrip("/")},
            max_network_retries=0,  # a call that had no answer is the ledger's to repeat
            http_client=self._http,
        )

    def charge(
        self,
        invoice_id: uuid.UUID,
        attempt: int,
        amount_minor: int,
        currency: str,
        method: PaymentMethod,
        idempotency_key: str,
    ) -> Outcome:
        params: Any = {
            "amount": stripe_amount(amount_minor, currency),
            "currency": currency.lower(),
            "payment_method": method.token,
            "confirm": True,
            "off_session": True,
            "metadata": {"invoice_id": str(invoice_id), "attempt": str(attempt)},
        }
        if method.customer is not None:
            params["customer"] = method.customer
        try:
            intent = self._stripe.v1.payment_intents.create(params, {"idempotency_key": idempotency_key})
        except stripe.CardError as error:
            return _declined(error)
        except stripe.StripeError as error:
            return _not_done(error)
        return stripe_events.outcome_of(intent.to_dict())

    def refund(self, reference: str, amount_minor: int, currency: str, idempotency_key: str) -> Outcome:
        params: Any = {"payment_intent": reference, "amount": stripe_amount(amount_minor, currency)}
        try:
            refund = self._stripe.v1.refunds.create(params, {"idempotency_key": idempotency_key})
        except stripe.StripeError as error:
            return _not_done(error)
        if refund.status in ("failed", "canceled"):
            return Declined(refund.failure_reason or refund.status, retryable=False, reference=refund.id)
        return Succeeded(refund.id)

    def close(self) -> None:
        self._http.close()


class _Transport(HTTPClient):
    """httpx under Stripe's client: no redirects, no proxy from the environment, one try."""

    name = "httpx"

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._http = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=5.0), follow_redirects=False, trust_env=False
        )

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        try:
            response = self._http.request(method, url, headers=headers, content=post_data)
        except httpx.HTTPError as error:
            silence = stripe.APIConnectionError(f"no answer: {type(error).__name__}")  # type: ignore[no-untyped-call]
            raise silence from error
        return response.text, response.status_code, response.headers

    def close(self) -> None:
        self._http.close()


def _declined(error: stripe.CardError) -> Outcome:
    """402. A bank that wants to see the customer is no refusal: the intent waits for them."""
    body = error.error
    intent = getattr(body, "payment_intent", None)
    reference = None if intent is None else str(intent["id"])
    code = str(getattr(body, "decline_code", None) or error.code or "card_declined")
    if reference is not None and "authentication_required" in (code, error.code):
        return RequiresAction(reference)
    return Declined(code, retryable=code not in _HARD, reference=reference)


def _not_done(error: stripe.StripeError) -> Outcome:
    """The rest of the table. Messages are not passed on: they may quote what was sent."""
    if isinstance(error, stripe.RateLimitError):
        raise Transient("payments.rate_limited", "Stripe asks to wait.") from error
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        message = "Stripe refuses the key: check HUNTAZE_BILLING_STRIPE_API_KEY."
        raise Permanent("payments.refused", message) from error
    if isinstance(error, stripe.IdempotencyError):
        raise Permanent("payments.refused", "Stripe knows this key with another request behind it.") from error
    if isinstance(error, stripe.InvalidRequestError) and error.http_status != httpx.codes.CONFLICT:
        return Declined(error.code or "invalid_request", retryable=False)
    return Unknown(f"{type(error).__name__}, HTTP {error.http_status}")
