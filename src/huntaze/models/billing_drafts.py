"""From rows that are due to drafts: which period, by which plan, with what on it. No statement is made here."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from huntaze.models import billing_domain
from huntaze.models.base import new_id
from huntaze.models.billing_books import Holder
from huntaze.models.billing_domain import Offer
from huntaze.models.billing_issue import Drafted
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.billing_usage import Share
from huntaze.pipelines.billing import coupons, plans, tax
from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.invoice import Line, draft_invoice
from huntaze.pipelines.billing.periods import Period

TOO_MANY_PERIODS = "billing.too_many_periods"


class Held(Exception):
    """A person has to look before this subscription is billed again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Due:
    """A subscription and the period that is billed now; an empty one is the end: usage and carried lines alone."""

    row: Subscription
    offer: Offer
    billed: Offer | None  # by which the last period was billed; None before the first
    period: Period
    invoice_id: uuid.UUID


@dataclass
class Terms:
    """What the drafts of a batch need beside the periods. `credit` is used up as they are made."""

    usage: Mapping[uuid.UUID, list[plans.Usage]]
    carried: Mapping[uuid.UUID, list[Line]]
    coupons: Mapping[uuid.UUID, coupons.Coupon]
    taxes: Mapping[uuid.UUID, tax.TaxRate]
    credit: dict[Holder, int]


def due_of(
    row: Subscription,
    offers: Mapping[uuid.UUID, Offer],
    broken: Mapping[uuid.UUID, BillingError],
    slot: datetime,
    most: int,
) -> Due:
    """The oldest period that is to be billed at `slot`. Raises BillingError if its plan is one of the `broken`, Held if
    there are more than `most` periods."""
    for plan_id in (row.plan_id, row.billed_plan_id):
        if plan_id is not None and plan_id in broken:
            raise broken[plan_id]
    offer, start = offers[row.plan_id], row.next_billing_at
    assert start is not None
    billed = None if row.billed_plan_id is None else offers[row.billed_plan_id]
    if row.cancel_at is not None and start >= row.cancel_at:
        return Due(row, offer, billed, Period(start, start), new_id())
    found = list(islice(billing_domain.cycle_of(row, offer).due(start, slot), most + 1))
    if len(found) > most and (row.released_until is None or start > row.released_until):
        raise Held(TOO_MANY_PERIODS, f"More than {most} periods are due, from {start} on: see whether that is right.")
    end = found[0].end if row.cancel_at is None else min(found[0].end, row.cancel_at)
    return Due(row, offer, billed, Period(start, end), new_id())


def share_of(due: Due) -> Share:
    """What its invoice takes. Usage is priced by the plan of the period that ended, if there was one."""
    until = due.period.start if due.period else None
    return Share(due.row.id, due.invoice_id, due.row.billed_plan_id or due.row.plan_id, until)


def draft(due: Due, terms: Terms) -> Drafted:
    """The invoice of the period. Raises what the domain raises for terms that cannot be billed."""
    row, holder = due.row, (due.row.creator_id, due.offer.plan.currency)
    plan, subscription = due.offer.plan, billing_domain.subscription_of(due.row, due.offer)
    usage = terms.usage.get(due.invoice_id, [])
    carried = terms.carried.get(due.invoice_id, [])
    if due.billed is not None and (row.billed_plan_id, row.billed_quantity) != (row.plan_id, row.quantity):
        carried = [*carried, *_of_the_old(due, due.billed, subscription, usage)]
        usage, plan = [], replace(plan, prices=tuple(price for price in plan.prices if _in_advance(price)))
    made = draft_invoice(
        plan,
        subscription,
        due.period,
        previous=_previous(row),
        usage=usage,
        carried=carried,
        coupons=[terms.coupons[row.coupon_id]] if row.coupon_id is not None else [],
        credit_minor=terms.credit.get(holder, 0),
        tax_rates=[terms.taxes[row.tax_rate_id]] if row.tax_rate_id is not None else [],
    )
    terms.credit[holder] = terms.credit.get(holder, 0) - made.credit_applied_minor
    return Drafted(due.invoice_id, row, due.period, made)


def _of_the_old(due: Due, billed: Offer, subscription: plans.Subscription, usage: list[plans.Usage]) -> list[Line]:
    """What the period that ended owes by the plan and quantity that it ran under: usage, and fees in arrears."""
    start = due.period.start
    until_then = replace(subscription, quantity=due.row.billed_quantity or 0, ends_at=start)
    ended = draft_invoice(billed.plan, until_then, Period(start, start), previous=_previous(due.row), usage=usage)
    taxable = {price.code: price.taxable for price in billed.plan.prices}
    return [replace(line, rates=None if taxable[line.price_code] else (), taxes=()) for line in ended.lines]


def _in_advance(price: plans.Price) -> bool:
    return price.meter is None and not price.in_arrears


def _previous(row: Subscription) -> Period | None:
    if row.period_start is None or row.period_end is None:
        return None
    return Period(row.period_start, min(row.period_end, row.next_billing_at or row.period_end))
