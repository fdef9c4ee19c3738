"""Who is told of events, and what became of each telling."""

import uuid
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import ProblemError, not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.webhooks import (
    DeliveryDetail,
    DeliveryPage,
    DeliveryView,
    NewSecret,
    ReplayAccepted,
    ReplayRequest,
    Rotation,
    SentTest,
    WebhookChange,
    WebhookCreated,
    WebhookPage,
    WebhookRequest,
    WebhookView,
)
from huntaze.api.services import Services, ServicesOf
from huntaze.models import job_enqueue, webhook_log, webhook_store
from huntaze.models.job_args import WebhooksReplay
from huntaze.models.webhooks import DeliveryState, WebhookEndpoint
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.pipelines.webhooks.targets import parse_target

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_NONE = ("webhook.not_found", "There is no webhook with this id.")
_NO_DELIVERY = ("delivery.not_found", "There is no delivery with this id.")
_MANY = ("webhook.too_many", "There are 20 endpoints already; delete one first.")
_UNDER_WAY = ("webhook.under_way", "This delivery is under way; it is tried again by itself.")
_OFF = ("webhook.disabled", "This endpoint is disabled; enable it first.")


@router.post("", status_code=201, responses=problems(400, 409, 413, s409=_MANY), summary="Tell a URL of events")
def create_webhook(body: WebhookRequest, services: ServicesOf, caller: Writer) -> WebhookCreated:
    """From now on. The secret is shown this once; messages are signed by Standard Webhooks 1.0."""
    _check_url(services, body.url)
    keys = _keys(services)
    with services.sessions.begin() as session:
        endpoint, secret = webhook_store.create(
            session, keys, body.url, body.types, creator_id=caller.creator_id, description=body.description
        )
        return WebhookCreated.model_validate({**WebhookView.columns_of(endpoint), "secret": secret})


def _check_url(services: Services, url: str) -> None:
    try:
        parse_target(url, services.settings.webhooks.policy)
    except Permanent as refused:
        raise refuse_field(422, refused.code, "url", refused.message) from None


def _keys(services: Services) -> Keyring:
    keys = services.settings.webhooks.keys
    if keys is None:
        detail = "Secrets cannot be made here yet: the operators have to set HUNTAZE_WEBHOOKS_KEY."
        raise ProblemError(503, "webhooks.not_configured", detail, headers={"Retry-After": "3600"})
    return keys


def _own(session: Session, endpoint_id: uuid.UUID, caller: Caller, *, lock: bool = False) -> WebhookEndpoint:
    endpoint = webhook_store.get(session, endpoint_id, caller.creator_id, lock=lock)
    if endpoint is None:
        raise not_found("webhook")
    return endpoint


@router.get("", responses=problems(), summary="List webhooks")
def list_webhooks(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> WebhookPage:
    """Newest first."""
    with services.statements() as session:
        found = webhook_store.search(session, creator_id=caller.creator_id, before=cursor, limit=limit + 1)
    page = [WebhookView.of(endpoint) for endpoint in found[:limit]]
    return WebhookPage(webhooks=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{webhook_id}", responses=problems(404, s404=_NONE), summary="See a webhook")
def show_webhook(webhook_id: uuid.UUID, services: ServicesOf, caller: Reader) -> WebhookView:
    """Whether it is told, and since when it fails."""
    with services.statements() as session:
        return WebhookView.of(_own(session, webhook_id, caller))


@router.patch("/{webhook_id}", responses=problems(400, 404, 413, s404=_NONE), summary="Change a webhook")
def change_webhook(webhook_id: uuid.UUID, body: WebhookChange, services: ServicesOf, caller: Writer) -> WebhookView:
    """What is under way goes to the new URL. What was missed while it was disabled comes by a replay."""
    if body.url is not None:
        _check_url(services, body.url)
    with services.sessions.begin() as session:
        endpoint = _own(session, webhook_id, caller, lock=True)
        webhook_store.change(session, endpoint, body.model_dump(exclude_unset=True))
        return WebhookView.of(endpoint)


@router.delete("/{webhook_id}", responses=problems(404, s404=_NONE), summary="Delete a webhook")
def delete_webhook(webhook_id: uuid.UUID, services: ServicesOf, caller: Writer) -> WebhookView:
    """With its log. Nothing more is sent; a request that is under way ends by itself."""
    with services.sessions.begin() as session:
        view = WebhookView.of(_own(session, webhook_id, caller))
        if not webhook_store.remove(session, webhook_id, caller.creator_id):
            raise not_found("webhook")
        return view


@router.post("/{webhook_id}/rotate", responses=problems(400, 404, 413, s404=_NONE), summary="Get a new secret")
def rotate_secret(webhook_id: uuid.UUID, body: Rotation, services: ServicesOf, caller: Writer) -> NewSecret:
    """For `overlap_s` messages are signed with both, the old one and the new; a third never is."""
    keys = _keys(services)
    with services.sessions.begin() as session:
        _own(session, webhook_id, caller, lock=True)
        secret = webhook_store.rotate(session, keys, webhook_id, timedelta(seconds=body.overlap_s))
        return NewSecret(secret=secret)


@router.post(
    "/{webhook_id}/test", status_code=202, responses=problems(404, 409, s404=_NONE, s409=_OFF), summary="Send a test"
)
def send_test(webhook_id: uuid.UUID, services: ServicesOf, caller: Writer) -> SentTest:
    """An event `webhook.test`, for this endpoint alone, whatever it subscribes to."""
    with services.sessions.begin() as session:
        endpoint = _enabled(_own(session, webhook_id, caller))
        return SentTest(event_id=webhook_store.emit_test(session, endpoint, caller.creator_id))


def _enabled(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    if endpoint.disabled_reason is not None:
        raise ProblemError(409, *_OFF)
    return endpoint


@router.post(
    "/{webhook_id}/replay",
    status_code=202,
    responses=problems(400, 404, 409, 413, s404=_NONE, s409=_OFF),
    summary="Send a range of time again",
)
def replay(webhook_id: uuid.UUID, body: ReplayRequest, services: ServicesOf, caller: Writer) -> ReplayAccepted:
    """In the order of the stream, as far back as events are kept; under the ids that the messages had."""
    args = WebhooksReplay(endpoint_id=webhook_id, since=body.since, until=body.until, delivered=body.delivered)
    with services.sessions.begin() as session:
        _enabled(_own(session, webhook_id, caller))
        made = job_enqueue.enqueue(session, args, creator_id=caller.creator_id, subject_id=webhook_id)
        return ReplayAccepted(job_id=made.job.id)


@router.get("/{webhook_id}/deliveries", responses=problems(404, s404=_NONE), summary="List deliveries")
def list_deliveries(
    webhook_id: uuid.UUID,
    services: ServicesOf,
    caller: Reader,
    state: Annotated[DeliveryState | None, Query()] = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> DeliveryPage:
    """Newest first. They are kept as long as their events."""
    with services.statements() as session:
        _own(session, webhook_id, caller)
        found = webhook_log.search(session, webhook_id, state=state, before=cursor, limit=limit + 1)
    page = [DeliveryView.of(row) for row in found[:limit]]
    return DeliveryPage(deliveries=page, next_cursor=page[-1].position if len(found) > limit else None)


@router.get("/{webhook_id}/deliveries/{event_id}", responses=problems(404, s404=_NO_DELIVERY), summary="See a delivery")
def show_delivery(webhook_id: uuid.UUID, event_id: uuid.UUID, services: ServicesOf, caller: Reader) -> DeliveryDetail:
    """With every request that was made."""
    with services.statements() as session:
        return _detail(session, webhook_id, event_id, caller)


def _detail(session: Session, webhook_id: uuid.UUID, event_id: uuid.UUID, caller: Caller) -> DeliveryDetail:
    _own(session, webhook_id, caller)
    row = webhook_log.get(session, (webhook_id, event_id))
    if row is None:
        raise not_found("delivery")
    return DeliveryDetail.with_attempts(row, webhook_log.attempts_of(session, (webhook_id, event_id)))


@router.post(
    "/{webhook_id}/deliveries/{event_id}/resend",
    status_code=202,
    responses=problems(404, 409, s404=_NO_DELIVERY, s409=_UNDER_WAY),
    summary="Send an event again",
)
def resend(webhook_id: uuid.UUID, event_id: uuid.UUID, services: ServicesOf, caller: Writer) -> DeliveryDetail:
    """With all its attempts, under the same `webhook-id`. 409 `webhook.under_way` for one that is still to come."""
    with services.sessions.begin() as session:
        _enabled(_own(session, webhook_id, caller))
        if not webhook_log.resend(session, (webhook_id, event_id)):
            raise not_found("delivery")
        return _detail(session, webhook_id, event_id, caller)
