"""What payment gateways tell us. No key: the signature says who it is. Not for callers, so not in their document."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel

from huntaze.api.problems import ProblemError
from huntaze.api.services import ServicesOf
from huntaze.clients.payments import stripe_events
from huntaze.models import payment_inbox
from huntaze.pipelines.errors import Permanent

router = APIRouter(prefix="/v1/payment-webhooks", include_in_schema=False)


class Received(BaseModel):
    """It is stored. `new`: it had not come before."""

    new: bool


async def _body(request: Request) -> bytes:
    """As it was signed: byte by byte."""
    return await request.body()


@router.post("/stripe")
def receive_stripe(
    services: ServicesOf,
    body: Annotated[bytes, Depends(_body)],
    stripe_signature: Annotated[str, Header(max_length=2000)] = "",
) -> Received:
    """Verified, stored, answered; a job makes something of it. Anything but 2xx, and Stripe sends it again."""
    secret = services.settings.billing.stripe_webhook_secret
    if secret is None:
        raise ProblemError(404, "route.not_found", "There is nothing at this address; see /docs.")
    try:
        event = stripe_events.verify(body, stripe_signature, secret.get_secret_value())
    except Permanent as error:
        raise ProblemError(400, error.code, error.message) from None
    with services.sessions.begin() as session:
        return Received(new=payment_inbox.receive(session, "stripe", event["id"], event["type"], event))
