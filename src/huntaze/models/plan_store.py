"""Which plans there are to change to."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from huntaze.models.billing_plans import Plan


def newest(session: Session, code: str) -> Plan | None:
    """The version of a plan that is sold now; None: there is no such plan, or it is retired."""
    query = select(Plan).where(Plan.code == code, Plan.retired_at.is_(None)).order_by(Plan.version.desc()).limit(1)
    return session.scalars(query).one_or_none()


def on_sale(session: Session) -> Sequence[Plan]:
    """The newest version of each plan that is not retired, by code."""
    query = select(Plan).where(Plan.retired_at.is_(None)).ext(distinct_on(Plan.code))
    return session.scalars(query.order_by(Plan.code, Plan.version.desc())).all()
