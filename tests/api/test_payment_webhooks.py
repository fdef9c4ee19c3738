"""What a gateway sends is verified, stored once and answered; a job makes something of it."""

import json
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, select
from stripe import WebhookSignature

from huntaze.api.app import build_app
from huntaze.models.billing_payments import InboxMessage
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.settings import Settings
from tests.api.conftest import Serve

SECRET = "whsec_test"
BODY = json.dumps({"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "data": {"object": {}}})


@pytest.fixture(scope="module")
def stripe_url(settings: Settings, migrated: Engine, serve: Serve) -> Iterator[str]:
    billing = settings.billing.model_copy(update={"stripe_webhook_secret": SecretStr(SECRET)})
    with serve(build_app(settings.model_copy(update={"billing": billing}))) as url:
        yield f"{url}/v1/payment-webhooks/stripe"


def send(url: str, body: str = BODY, signature: str | None = None) -> httpx.Response:
    signed = WebhookSignature.generate_signature_header(body, SECRET) if signature is None else signature
    return httpx.post(url, content=body, headers={"Stripe-Signature": signed}, trust_env=False)


def test_an_event_is_stored_once_with_its_job(sessions: Sessions, stripe_url: str) -> None:
    assert [send(stripe_url).json() for _ in range(3)] == [{"new": True}, {"new": False}, {"new": False}]
    with sessions() as session:
        (message,) = session.scalars(select(InboxMessage))
        (job,) = session.scalars(select(Job))
    assert (message.external_id, message.payload, message.handled_at) == ("evt_1", json.loads(BODY), None)
    assert (job.kind, job.args) == ("payments.notice", {"message_id": str(message.id)})


def test_what_is_not_signed_is_not_stored(sessions: Sessions, stripe_url: str) -> None:
    for signature in ("", "t=1,v1=00", WebhookSignature.generate_signature_header(BODY, "whsec_other")):
        refused = send(stripe_url, signature=signature)
        assert (refused.status_code, refused.json()["code"]) == (400, "webhook.bad_signature")
        assert SECRET not in refused.text
    assert send(stripe_url, body="[]").json()["code"] == "webhook.malformed"
    assert send(stripe_url, body=" " * 70_000).status_code == 413
    with sessions() as session:
        assert session.scalars(select(InboxMessage)).all() == []


def test_without_a_secret_the_door_is_closed(base_url: str, sessions: Sessions) -> None:
    refused = send(f"{base_url}/v1/payment-webhooks/stripe")
    assert (refused.status_code, refused.json()["code"]) == (404, "route.not_found")
