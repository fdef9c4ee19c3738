"""All SQL of the clock."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.periodic import PeriodicEntry


def lock(session: Session, entry: str, first: datetime) -> datetime:
    """The last slot recorded for an entry, locked: two clocks take turns. An unknown entry begins at `first`."""
    session.execute(insert(PeriodicEntry).values(entry=entry, last_slot=first).on_conflict_do_nothing())
    query = select(PeriodicEntry.last_slot).where(PeriodicEntry.entry == entry).with_for_update()
    return session.execute(query).scalar_one()


def record(session: Session, entry: str, slot: datetime) -> None:
    """Notes that all slots up to this one have their jobs. It never goes back."""
    session.execute(
        update(PeriodicEntry)
        .where(PeriodicEntry.entry == entry)
        .values(last_slot=func.greatest(PeriodicEntry.last_slot, slot))
    )
