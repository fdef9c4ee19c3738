"""Plans as rows: a version is written once, and the newest that is not retired is what can be subscribed to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from huntaze.models.billing_plans import Plan, PlanPrice
from huntaze.pipelines.billing.pricing import Terms
from huntaze.pipelines.billing.terms import terms_to_json


@dataclass(frozen=True)
class NewPrice:
    """A line of a plan that is to be."""

    code: str
    description: str
    terms: Terms
    meter: str | None = None
    in_arrears: bool = False
    taxable: bool = True


def create_plan(session: Session, plan: Plan, prices: Sequence[NewPrice]) -> Plan:
    """Writes a version of a plan with its prices, in their order."""
    session.add(plan)
    session.flush()
    for position, one in enumerate(prices):
        values = {**one.__dict__, "terms": terms_to_json(one.terms)}
        session.add(PlanPrice(plan_id=plan.id, position=position, **values))
    session.flush()
    return plan


def newest(session: Session, code: str) -> Plan | None:
    """The version of a plan that is sold now; None: there is no such plan, or it is retired."""
    query = select(Plan).where(Plan.code == code, Plan.retired_at.is_(None)).order_by(Plan.version.desc()).limit(1)
    return session.scalars(query).one_or_none()


def on_sale(session: Session) -> Sequence[Plan]:
    """The newest version of each plan that is not retired, by code."""
    query = select(Plan).where(Plan.retired_at.is_(None)).ext(distinct_on(Plan.code))
    return session.scalars(query.order_by(Plan.code, Plan.version.desc())).all()
