"""The run: what is due becomes invoices, a batch a transaction.

Killed anywhere, run again, run twice at once: a batch is whole or not there, its rows are locked while it is made, and
(subscription, period start) is unique. A subscription that is due for many periods gets one a batch, oldest first.
"""

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from huntaze.models import billing_books, billing_domain, billing_drafts, billing_issue, billing_usage
from huntaze.models.billing_drafts import Due, Held
from huntaze.models.billing_issue import Drafted
from huntaze.models.billing_subscriptions import Subscription, SubscriptionChange, SubscriptionStatus
from huntaze.pipelines.errors import HuntazeError

CANNOT_BILL = "billing.cannot_bill"
# What one subscription's rows can do to a batch: terms that cannot be read, amounts that no column holds, keys twice.
_POISON = (IntegrityError, DataError, HuntazeError, ArithmeticError, LookupError, ValueError)


@dataclass(frozen=True)
class RunPolicy:
    """`batch`: subscriptions a transaction. `most_periods`: a subscription that is due for more waits for a person."""

    batch: int = 200
    most_periods: int = 3


@dataclass(frozen=True)
class Billed:
    """What a batch came to. `claimed` is 0 when nothing is due that nobody else has in hand."""

    claimed: int = 0
    numbers: tuple[int, ...] = ()
    ended: int = 0
    held: tuple[uuid.UUID, ...] = ()


def bill_batch(session: Session, slot: datetime, policy: RunPolicy) -> Billed:
    """Bills one period each of up to `policy.batch` subscriptions that are due at `slot`. Passes over those in use."""
    query = (
        select(Subscription)
        .where(Subscription.status == SubscriptionStatus.ACTIVE, Subscription.held_code.is_(None))
        .where(Subscription.next_billing_at <= slot)
        .order_by(Subscription.next_billing_at, Subscription.id)
        .limit(policy.batch)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(query, execution_options={"populate_existing": True}).all()
    if not rows:
        return Billed()
    try:
        with session.begin_nested():
            return bill(session, rows, slot, policy)
    except _POISON:
        session.expire_all()  # whose fault it was is found one by one
        return _one_by_one(session, rows, slot, policy)


def _one_by_one(session: Session, rows: Sequence[Subscription], slot: datetime, policy: RunPolicy) -> Billed:
    numbers: tuple[int, ...] = ()
    held: tuple[uuid.UUID, ...] = ()
    ended = 0
    for row in rows:
        try:
            with session.begin_nested():
                billed = bill(session, [row], slot, policy)
            numbers, held, ended = numbers + billed.numbers, held + billed.held, ended + billed.ended
        except _POISON as error:
            session.expire_all()
            held = (*held, _hold(session, row, slot, error))
    return Billed(len(rows), numbers, ended, held)


def bill(session: Session, rows: Sequence[Subscription], slot: datetime, policy: RunPolicy) -> Billed:
    """Bills the next period of each of these rows, which the caller has locked. Those that cannot be are held."""
    drafted, held = draft(session, rows, slot, policy)
    written = [one for one in drafted if one.draft.lines or one.period]  # an end with nothing left to bill has none
    session.flush()
    ended = _advance(session, drafted)
    numbers = billing_issue.issue(session, written, slot)
    return Billed(len(rows), tuple(numbers), ended, tuple(held))


def draft(
    session: Session, rows: Sequence[Subscription], slot: datetime, policy: RunPolicy
) -> tuple[list[Drafted], list[uuid.UUID]]:
    """The invoices of these rows, and who is held instead. Marks their usage as billed, and locks credits."""
    plans = _some(id for row in rows for id in (row.plan_id, row.billed_plan_id))
    offers, broken = billing_domain.readable_offers(session, plans)
    held: list[uuid.UUID] = []
    due: list[Due] = []
    for row in rows:
        try:
            due.append(billing_drafts.due_of(row, offers, broken, slot, policy.most_periods))
        except (Held, HuntazeError) as error:
            held.append(_hold(session, row, slot, error))
    terms = _load_terms(session, due)
    return [billing_drafts.draft(one, terms) for one in due], held


def _load_terms(session: Session, due: Sequence[Due]) -> billing_drafts.Terms:
    """All that the drafts of a batch need, by a statement each."""
    shares = [billing_drafts.share_of(one) for one in due]
    holders = {(one.row.creator_id, one.offer.plan.currency) for one in due}
    return billing_drafts.Terms(
        usage=billing_usage.take_usage(session, shares),
        carried=billing_usage.take_items(session, shares),
        coupons=billing_domain.load_coupons(session, _some(one.row.coupon_id for one in due)),
        taxes=billing_domain.load_taxes(session, _some(one.row.tax_rate_id for one in due)),
        credit=billing_books.lock_credit(session, holders) if holders else {},
    )


def _some(ids: Iterable[uuid.UUID | None]) -> Collection[uuid.UUID]:
    return {id for id in ids if id is not None}


_ADVANCE = text("""
    UPDATE subscriptions AS row
    SET status = given.status, period_start = given.period_start, period_end = given.period_end,
        next_billing_at = given.next_billing_at, ended_at = given.ended_at, billed_plan_id = given.billed_plan_id,
        billed_quantity = given.billed_quantity, billed_anchor = given.billed_anchor, coupon_id = given.coupon_id,
        coupon_left = given.coupon_left
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
        id uuid, status text, period_start timestamptz, period_end timestamptz, next_billing_at timestamptz,
        ended_at timestamptz, billed_plan_id uuid, billed_quantity int, billed_anchor timestamptz, coupon_id uuid,
        coupon_left int
    )
    WHERE row.id = given.id
""")
_ADVANCED = (
    *("id", "status", "period_start", "period_end", "next_billing_at", "ended_at", "billed_plan_id"),
    *("billed_quantity", "billed_anchor", "coupon_id", "coupon_left"),
)


def _advance(session: Session, drafted: Sequence[Drafted]) -> int:
    """Moves the subscriptions behind the periods that are billed, by one statement; returns how many ended by that."""
    for one in drafted:
        for name, value in _moved(one).items():
            set_committed_value(one.subscription, name, value)  # the unit of work has nothing to write
    rows = [{name: getattr(one.subscription, name) for name in _ADVANCED} for one in drafted]
    if rows:
        session.execute(_ADVANCE, {"rows": json.dumps(rows, default=str)})
    ends = [one for one in drafted if not one.period]
    session.add_all(
        SubscriptionChange(subscription_id=one.subscription.id, kind="end", at=one.period.start) for one in ends
    )
    return len(ends)


def _moved(one: Drafted) -> dict[str, Any]:
    row, period = one.subscription, one.period
    moved: dict[str, Any] = {}
    if row.coupon_id is not None and row.coupon_left is not None and one.draft.discount_minor:
        left = row.coupon_left - 1
        moved |= {"coupon_left": left} if left else {"coupon_id": None, "coupon_left": None}
    if not period:
        return moved | {
            "status": SubscriptionStatus.CANCELLED,
            "ended_at": period.start,
            "next_billing_at": None,
        }
    return moved | {
        "period_start": period.start,
        "period_end": period.end,
        "next_billing_at": period.end,
        "billed_plan_id": row.plan_id,
        "billed_quantity": row.quantity,
        "billed_anchor": row.anchor,
    }


def _hold(session: Session, row: Subscription, slot: datetime, error: Exception) -> uuid.UUID:
    """Leaves it to a person, and says why. Nobody else waits for that."""
    if isinstance(error, Held | HuntazeError):
        row.held_code, row.held_message = error.code, str(error)
    else:
        row.held_code, row.held_message = CANNOT_BILL, f"{type(error).__name__}: {error}"[:2000]
    data = {"code": row.held_code, "message": row.held_message}
    session.add(SubscriptionChange(subscription_id=row.id, kind="hold", at=slot, data=data))
    session.flush()
    return row.id
