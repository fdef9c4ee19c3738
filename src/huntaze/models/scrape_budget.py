"""The month's money for scraping: reserved ahead, settled at what it took, never passed by what is planned.

`session` is the caller's transaction; nothing here commits. Amounts are micro-USD; months are UTC, by the database.
"""

import uuid
from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from huntaze.models.base import Base


class ScrapeSpend(Base):
    """One month. `spent` may pass the cap only by what the vendor charged beyond a run's own cap."""

    __tablename__ = "scrape_spend"
    __table_args__ = (CheckConstraint("reserved_micro_usd >= 0 AND spent_micro_usd >= 0", name="not_negative"),)

    month: Mapped[date] = mapped_column(primary_key=True)  # its first day
    reserved_micro_usd: Mapped[int] = mapped_column(BigInteger, default=0)
    spent_micro_usd: Mapped[int] = mapped_column(BigInteger, default=0)


@dataclass(frozen=True)
class Spend:
    """Where a month stands, in micro-USD."""

    month: date
    reserved: int
    spent: int


_MONTH = "date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date"
_OPEN = text(f"""
    INSERT INTO scrape_spend (month, reserved_micro_usd, spent_micro_usd) VALUES ({_MONTH}, 0, 0)
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - a constant
_RESERVE = text(f"""
    UPDATE scrape_spend SET reserved_micro_usd = reserved_micro_usd + :amount
    WHERE month = {_MONTH} AND reserved_micro_usd + spent_micro_usd + :amount <= :cap
    RETURNING month
""")  # noqa: S608 - a constant
# The run's row decides, so that two who settle at once settle once.
_SETTLE = text("""
    WITH settled AS (
        UPDATE trend_runs
        SET cost_micro_usd = coalesce(cast(:cost AS bigint), max_charge_micro_usd), cost_known = :cost IS NOT NULL
        WHERE id = :run_id AND month IS NOT NULL AND cost_micro_usd IS NULL
        RETURNING month, max_charge_micro_usd, cost_micro_usd
    )
    UPDATE scrape_spend
    SET reserved_micro_usd = reserved_micro_usd - max_charge_micro_usd,
        spent_micro_usd = spent_micro_usd + cost_micro_usd
    FROM settled WHERE scrape_spend.month = settled.month
    RETURNING cost_micro_usd
""")
_SPEND = text(f"""
    SELECT {_MONTH} AS month, coalesce(reserved_micro_usd, 0) AS reserved, coalesce(spent_micro_usd, 0) AS spent
    FROM (SELECT) AS now LEFT JOIN scrape_spend ON scrape_spend.month = {_MONTH}
""")  # noqa: S608 - a constant


def reserve(session: Session, amount: int, cap: int) -> date | None:
    """Puts `amount` aside in this month if all that is spent and reserved stays within `cap`; the month, or None."""
    month: date | None = session.execute(_RESERVE, {"amount": amount, "cap": cap}).scalar_one_or_none()
    if month is None:
        session.execute(_OPEN)  # the month's first: nothing to update yet
        month = session.execute(_RESERVE, {"amount": amount, "cap": cap}).scalar_one_or_none()
    return month


def settle(session: Session, run_id: uuid.UUID, cost: int | None) -> bool:
    """Turns a run's reservation into what it took, in the month of the reservation. None: nobody can tell, so all of
    it. False: it was settled before, or nothing was reserved."""
    return session.execute(_SETTLE, {"run_id": run_id, "cost": cost}).one_or_none() is not None


def spend(session: Session) -> Spend:
    """This month."""
    row = session.execute(_SPEND).one()
    return Spend(row.month, row.reserved, row.spent)
