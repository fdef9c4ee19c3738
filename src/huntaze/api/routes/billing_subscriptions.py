"""Subscriptions: what is subscribed to, and its changes, with what each would cost before it is made."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from huntaze.api.auth import Caller, Reader, Writer
from huntaze.api.problems import ProblemError, not_found, problems, refuse_field
from huntaze.api.schemas.base import Cursor
from huntaze.api.schemas.billing_subscriptions import (
    CancelRequest,
    ChangeRequest,
    PaymentMethodRequest,
    PreviewView,
    SubscribeRequest,
    SubscriptionPage,
    SubscriptionView,
)
from huntaze.api.services import Services, ServicesOf
from huntaze.models import billing_orders, billing_reads, billing_store, payment_store, plan_store
from huntaze.models.billing_orders import BadOrder, Card, Order
from huntaze.models.billing_subscriptions import Subscription
from huntaze.pipelines.errors import Permanent

router = APIRouter(prefix="/v1/subscriptions", tags=["billing"])

_NONE = ("subscription.not_found", "There is no subscription with this id.")
_NOT_ACTIVE = ("subscription.not_active", "This subscription is cancelled.")
_NO_PLAN = ("plan.not_found", "There is no plan with this code on sale.")
_EXISTS = ("subscription.exists", "There is a subscription to this plan with other terms; change that one.")
_REFUSALS = problems(400, 404, 409, 413, s404=_NONE, s409=_NOT_ACTIVE)
_ACTIONS = problems(404, 409, s404=_NONE, s409=_NOT_ACTIVE)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": SubscriptionView, "description": "It was there already"},
        **problems(400, 404, 409, 413, s404=_NO_PLAN, s409=_EXISTS),
    },
    summary="Subscribe to a plan",
)
def subscribe(body: SubscribeRequest, services: ServicesOf, caller: Writer, response: Response) -> SubscriptionView:
    """From now on, or after the plan's trial, which is had once; the first invoice is made within the hour. A repeat
    gets the same subscription, with 200. Without a `payment_method` it is that of the subscription before; where there
    was none, invoices stay open until they are paid. The tax is that of the subscription before, or the usual one: what
    is owed is not the request's to say. 409: `subscription.exists`, `.owes`, `.no_tax_rate`."""
    card = None if body.payment_method is None else Card(body.payment_method.customer, body.payment_method.token)
    usual = services.settings.billing.tax_rate
    order = Order(body.plan, body.quantity, body.time_zone, body.coupon, card, first_tax_rate=usual)
    with services.sessions.begin() as session:
        try:
            row, made = billing_orders.place(session, caller.creator_id, order, billing_reads.db_now(session))
        except BadOrder as error:
            missing = error.code.endswith(".not_found")
            raise refuse_field(404 if missing else 422, error.code, error.field, error.message) from None
        except Permanent as error:
            raise ProblemError(409, error.code, error.message) from None
        response.status_code = 201 if made else 200
        response.headers["Location"] = f"/v1/subscriptions/{row.id}"
        return _view(session, row.id, caller)


@router.get("", responses=problems(), summary="List subscriptions")
def list_subscriptions(
    services: ServicesOf,
    caller: Reader,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> SubscriptionPage:
    """Newest first."""
    with services.statements() as session:
        found = billing_reads.list_subscriptions(session, caller.creator_id, before=cursor, limit=limit + 1)
    page = [SubscriptionView.of(*one) for one in found[:limit]]
    return SubscriptionPage(subscriptions=page, next_cursor=page[-1].id if len(found) > limit else None)


@router.get("/{subscription_id}", responses=problems(404, s404=_NONE), summary="See a subscription")
def show_subscription(subscription_id: uuid.UUID, services: ServicesOf, caller: Reader) -> SubscriptionView:
    """What it is now, and what the next period is billed by."""
    with services.statements() as session:
        return _view(session, subscription_id, caller)


@router.post("/{subscription_id}/preview", responses=_REFUSALS, summary="See what a change would cost")
def preview_change(
    subscription_id: uuid.UUID, body: ChangeRequest, services: ServicesOf, caller: Reader
) -> PreviewView:
    """The invoice that the same change would make, worked out by making it and taking it back; nothing is changed."""
    with _changing(services, subscription_id, caller) as session:
        plan_id = _plan_id(session, body)
        at = billing_reads.db_now(session)
        draft = billing_store.preview(
            session, subscription_id, at, plan_id=plan_id, quantity=body.quantity, now=body.now
        )
        if draft is None:
            raise ProblemError(409, "subscription.held", "This change cannot be billed without a person's look at it.")
        if draft.total_minor < 0:
            billing_orders.refuse_unpaid_credit(session, subscription_id)
        return PreviewView.of(draft, at)


@router.post("/{subscription_id}/change", responses=_REFUSALS, summary="Change plan or quantity")
def change_subscription(
    subscription_id: uuid.UUID, body: ChangeRequest, services: ServicesOf, caller: Writer
) -> SubscriptionView:
    """With `now`, the unused rest of what was billed is given back and the rest of the period billed by the new terms,
    on an invoice of its own. One that gives more back than it asks for has to wait until all is paid: 409
    `subscription.unpaid`. Asking again for what it is already changes nothing."""
    with _changing(services, subscription_id, caller) as session:
        plan_id = _plan_id(session, body)
        row = billing_store.lock(session, subscription_id)
        wanted = (plan_id or row.plan_id, row.quantity if body.quantity is None else body.quantity)
        if wanted not in _had(row, body.now):
            at = billing_reads.db_now(session)
            made = billing_store.change(session, row.id, at, plan_id=wanted[0], quantity=wanted[1], now=body.now)
            if billing_orders.is_credit(session, made.numbers):
                billing_orders.refuse_unpaid_credit(session, row.id)
        return _view(session, subscription_id, caller)


def _had(row: Subscription, now: bool) -> set[tuple[uuid.UUID, int]]:
    """The terms that need no change any more: those of the next period, if for `now` they are the present ones too."""
    coming = (row.plan_id, row.quantity)
    present = coming if row.billed_plan_id is None else (row.billed_plan_id, row.billed_quantity)
    return set() if now and present != coming else {coming}


@router.post("/{subscription_id}/pause", responses=_ACTIONS, summary="Pause a subscription")
def pause_subscription(subscription_id: uuid.UUID, services: ServicesOf, caller: Writer) -> SubscriptionView:
    """Nothing is billed until it is resumed; the unused rest of what was billed is given back on the next invoice, so
    all has to be paid before: 409 `subscription.unpaid`."""
    with _changing(services, subscription_id, caller) as session:
        billing_orders.refuse_unpaid_credit(session, subscription_id)
        billing_store.pause(session, subscription_id, billing_reads.db_now(session))
        return _view(session, subscription_id, caller)


@router.post("/{subscription_id}/resume", responses=_ACTIONS, summary="Resume a subscription")
def resume_subscription(subscription_id: uuid.UUID, services: ServicesOf, caller: Writer) -> SubscriptionView:
    """The rest of the period that its anchor says is billed with the next run."""
    with _changing(services, subscription_id, caller) as session:
        billing_store.resume(session, subscription_id, billing_reads.db_now(session))
        return _view(session, subscription_id, caller)


@router.post("/{subscription_id}/payment-method", responses=_REFUSALS, summary="Pay with another card")
def change_payment_method(
    subscription_id: uuid.UUID, body: PaymentMethodRequest, services: ServicesOf, caller: Writer
) -> SubscriptionView:
    """For all invoices to come; what is owed of the subscription is asked for at once with it."""
    with _changing(services, subscription_id, caller) as session:
        try:
            billing_orders.check_customer(session, caller.creator_id, Card(body.customer, body.token), "customer")
        except BadOrder as error:
            raise refuse_field(422, error.code, error.field, error.message) from None
        at = billing_reads.db_now(session)
        payment_store.ask_now(session, subscription_id, body.token, body.customer, at)
        return _view(session, subscription_id, caller)


@router.post("/{subscription_id}/cancel", responses=_REFUSALS, summary="Cancel a subscription")
def cancel_subscription(
    subscription_id: uuid.UUID, body: CancelRequest, services: ServicesOf, caller: Writer
) -> SubscriptionView:
    """At the end of the period that is paid for, or at once. Repeating does no harm."""
    with _changing(services, subscription_id, caller) as session:
        billing_store.cancel(session, subscription_id, billing_reads.db_now(session), now=body.now)
        return _view(session, subscription_id, caller)


@contextmanager
def _changing(services: Services, subscription_id: uuid.UUID, caller: Caller) -> Iterator[Session]:
    """A transaction on a subscription of the caller's."""
    with services.sessions() as session:
        if billing_reads.get_subscription(session, subscription_id, caller.creator_id) is None:
            raise not_found("subscription")
        try:
            yield session
        except Permanent as error:
            # What was asked for may be done to another subscription, or later to this one.
            raise ProblemError(409, error.code, error.message) from None
        session.commit()


def _plan_id(session: Session, body: ChangeRequest) -> uuid.UUID | None:
    if body.plan is None and body.quantity is None:
        raise refuse_field(422, "request.invalid", "plan", "Send a plan, a quantity, or both.")
    if body.plan is None:
        return None
    plan = plan_store.newest(session, body.plan)
    if plan is None:
        raise refuse_field(404, "plan.not_found", "plan", "There is no plan with this code on sale.")
    return plan.id


def _view(session: Session, subscription_id: uuid.UUID, caller: Caller) -> SubscriptionView:
    found = billing_reads.get_subscription(session, subscription_id, caller.creator_id)
    if found is None:
        raise not_found("subscription")
    session.refresh(found[0])
    return SubscriptionView.of(*found)
