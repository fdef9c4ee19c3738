"""Plans, subscribers and sums for tests of billing."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from huntaze.models import billing_run, billing_store, plan_store
from huntaze.models.base import new_id
from huntaze.models.billing_invoices import Invoice
from huntaze.models.billing_ledger import LedgerEntry
from huntaze.models.billing_plans import Plan
from huntaze.models.billing_run import Billed, RunPolicy
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.database import Sessions
from huntaze.models.plan_store import NewPrice
from huntaze.models.users import User
from huntaze.pipelines.billing.pricing import Flat, PerUnit

START = datetime(2025, 1, 31, 9, tzinfo=UTC)


def day(year: int, month: int, day: int, hour: int = 9) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def make_plan(session: Session, fee: int = 2000, *, code: str = "pro", **values: Any) -> Plan:
    """A monthly fee, and 25 cents an analysed video."""
    values = {"currency": "EUR", "interval": "month", "name": code.title(), **values}
    prices = [
        NewPrice("fee", "Pro", Flat(Decimal(fee))),
        NewPrice("videos", "Videos", PerUnit(Decimal(25)), meter="videos"),
    ]
    return plan_store.create_plan(session, Plan(id=new_id(), code=code, **values), prices)


def subscribe(sessions: Sessions, creator: User, at: datetime = START, **wanted: Any) -> Subscription:
    """To the plan that is named, or to one that is made."""
    with sessions.begin() as session:
        plan_id = wanted.pop("plan_id", None) or make_plan(session, code=f"pro-{new_id()}").id
        return billing_store.subscribe(session, Wanted(creator.id, plan_id, **wanted), at)


def many(session: Session, plan_id: uuid.UUID, count: int, at: datetime = START, **values: Any) -> list[uuid.UUID]:
    """So many creators with a subscription each, all due at `at`."""
    users = [{"id": new_id(), "handle": f"creator-{new_id()}"} for _ in range(count)]
    session.execute(insert(User), users)
    rows = [
        {"id": new_id(), "creator_id": user["id"], "plan_id": plan_id, "anchor": at, "started_at": at}
        | {"next_billing_at": at, **values}
        for user in users
    ]
    session.execute(insert(Subscription), rows)
    return [row["id"] for row in rows]


def run(sessions: Sessions, slot: datetime, policy: RunPolicy | None = None) -> Billed:
    """All that is due at a slot."""
    numbers: tuple[int, ...] = ()
    held: tuple[uuid.UUID, ...] = ()
    ended = 0
    while True:
        with sessions.begin() as session:
            billed = billing_run.bill_batch(session, slot, policy or RunPolicy())
        numbers, held, ended = numbers + billed.numbers, held + billed.held, ended + billed.ended
        if not billed.claimed:
            return Billed(0, numbers, ended, held)


def invoices(sessions: Sessions, subscription_id: uuid.UUID | None = None) -> list[Invoice]:
    query = select(Invoice).order_by(Invoice.number)
    with sessions() as session:
        found = session.scalars(query if subscription_id is None else query.filter_by(subscription_id=subscription_id))
        return list(found)


def balances(sessions: Sessions) -> dict[str, int]:
    """{account: sum}, of one currency."""
    query = select(LedgerEntry.account, func.sum(LedgerEntry.amount_minor)).group_by(LedgerEntry.account)
    with sessions() as session:
        return {row[0]: int(row[1]) for row in session.execute(query)}


def starts(rows: Iterable[Invoice]) -> list[str]:
    return [row.period_start.date().isoformat() for row in rows]
