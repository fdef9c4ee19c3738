"""Shapes of `/v1/subscriptions`. Amounts are integers of the currency's minor unit (ISO 4217)."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from huntaze.api.schemas.base import Body, ErrorView
from huntaze.api.schemas.billing_invoices import LINE_EXAMPLE, Currency, LineView, Minor
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_subscriptions import Subscription, SubscriptionStatus
from huntaze.pipelines.billing.invoice import Draft

_ID = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_SUBSCRIPTION: dict[str, Any] = {
    "id": _ID,
    "plan": "pro",
    "plan_name": "Pro",
    "currency": "EUR",
    "quantity": 3,
    "status": "active",
    "time_zone": "Europe/Paris",
    "started_at": "2026-01-31T10:00:00Z",
    "trial_end": None,
    "period_start": "2026-10-31T10:00:00Z",
    "period_end": "2026-11-30T10:00:00Z",
    "next_billing_at": "2026-11-30T10:00:00Z",
    "cancel_at": None,
    "ended_at": None,
    "held": None,
}


class SubscriptionView(BaseModel):
    """A creator's subscription. `plan` and `quantity` are those of the next period."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUBSCRIPTION]})

    id: uuid.UUID
    plan: str = Field(description="the plan's code")
    plan_name: str
    currency: Currency
    quantity: int
    status: SubscriptionStatus
    time_zone: str
    started_at: datetime
    trial_end: datetime | None
    period_start: datetime | None = Field(description="of the period that was billed last")
    period_end: datetime | None
    next_billing_at: datetime | None
    cancel_at: datetime | None = Field(description="no period begins at or after it")
    ended_at: datetime | None
    held: ErrorView | None = Field(description="why billing waits for a person")

    @classmethod
    def of(cls, row: Subscription, plan: Plan) -> Self:
        given = cls.model_fields.keys() - {"plan", "plan_name", "currency", "held"}
        held = None if row.held_code is None else ErrorView(code=row.held_code, message=None)
        columns = {name: getattr(row, name) for name in given}
        return cls.model_validate(
            {**columns, "plan": plan.code, "plan_name": plan.name, "currency": plan.currency, "held": held}
        )


class SubscriptionPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subscriptions": [_SUBSCRIPTION], "next_cursor": None}]})

    subscriptions: list[SubscriptionView]
    next_cursor: uuid.UUID | None


Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


GatewayName = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
_METHOD: dict[str, Any] = {"customer": "cus_Qx2T6vYp0ZkFdE", "token": "pm_1Pxyz2eZvKYlo2C"}


class PaymentMethodRequest(Body):
    """A card or account by the gateway's names of it; a number of a card has no place here. It is charged for each
    invoice from now on, so it has to be saved for that with the gateway (Stripe: a SetupIntent, `off_session`)."""

    model_config = ConfigDict(json_schema_extra={"examples": [_METHOD]})

    customer: GatewayName = Field(description="whose it is; one that another creator has is refused")
    token: GatewayName = Field(description="of the card or account (Stripe: pm_...)")


class SubscribeRequest(Body):
    """A plan, and how many of it. Which tax is due is not the request's to say: who owes it does not choose it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"plan": "pro", "quantity": 3, "coupon": "WELCOME", "payment_method": _METHOD}]}
    )

    plan: Code = Field(description="a plan's code; its newest version is meant")
    quantity: int = Field(1, ge=1, le=1_000_000)
    coupon: Code | None = Field(None, description="each can be used once")
    payment_method: PaymentMethodRequest | None = Field(None, description="default: that of the last subscription")
    time_zone: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="IANA name, of the days on which periods begin; default: one's own",
    )


class ChangeRequest(Body):
    """Another plan, another quantity, or both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan": "team", "quantity": 5}]})

    plan: Code | None = Field(None, description="a plan's code; its newest version is meant")
    quantity: int | None = Field(None, ge=0, le=1_000_000)
    now: bool = Field(
        True, description="from now on, the rest of the period given back and billed anew; or from the next period on"
    )


class CancelRequest(Body):
    """How it ends."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"now": False}]})

    now: bool = Field(
        False, description="at once, what was used is billed; or at the end of the period that is paid for"
    )


class PreviewView(BaseModel):
    """The invoice that a change would lead to, had it been asked for at `at`: with `now` the one it makes at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-15T10:00:00Z",
                    "currency": "EUR",
                    "subtotal_minor": 4900,
                    "discount_minor": 0,
                    "tax_minor": 980,
                    "total_minor": 5880,
                    "credit_applied_minor": 0,
                    "due_minor": 5880,
                    "lines": [LINE_EXAMPLE],
                }
            ]
        }
    )

    at: datetime
    currency: Currency
    subtotal_minor: Minor
    discount_minor: Minor
    tax_minor: Minor
    total_minor: int = Field(description="below 0: so much goes to the creator's credit")
    credit_applied_minor: int
    due_minor: Minor
    lines: list[LineView]

    @classmethod
    def of(cls, draft: Draft, at: datetime) -> Self:
        given = cls.model_fields.keys() - {"at", "lines"}
        lines = [LineView.of(line) for line in draft.lines]
        return cls.model_validate({**{name: getattr(draft, name) for name in given}, "at": at, "lines": lines})
