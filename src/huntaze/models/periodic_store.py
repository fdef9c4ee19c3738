"""All SQL of the clock, and how a slot becomes a job."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models.job_enqueue import Enqueued, enqueue
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job
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


def last_slots(session: Session) -> dict[str, datetime]:
    """{entry: last slot recorded}, of the entries that a clock has seen."""
    return {row.entry: row.last_slot for row in session.scalars(select(PeriodicEntry))}


def slot_key(entry: str, slot: datetime) -> str:
    """The dedupe key of a slot's job: what makes it the only one, whoever inserts it."""
    return f"{entry}@{slot.astimezone(UTC).isoformat()}"


def enqueue_slot(session: Session, entry: str, kind: str, slot: datetime, priority: int = 0) -> Enqueued:
    """The job of a slot, made if there is none yet. The slot is the job's "now"."""
    args = KINDS[kind].args.model_validate({"slot": slot})
    return enqueue(session, args, priority=priority, dedupe_key=slot_key(entry, slot))


def enqueue_again(session: Session, entry: str, kind: str, slot: datetime) -> Enqueued:
    """One more job for a slot that may have one: its key ends in the first of #2, #3, ... that is free."""
    args, key = KINDS[kind].args.model_validate({"slot": slot}), slot_key(entry, slot)
    for number in count(2):
        made = enqueue(session, args, dedupe_key=key)
        if made.created or made.job.dedupe_key != key:  # not the key was in the way: the kind allows one at a time
            break
        key = f"{slot_key(entry, slot)}#{number}"
    return made


def jobs_of(session: Session, entry: str, slots: Iterable[datetime]) -> dict[datetime, Job]:
    """{slot: its job}, of the slots that have one."""
    keys = {slot_key(entry, slot): slot for slot in slots}
    found = session.scalars(select(Job).where(Job.dedupe_key.in_(list(keys))))
    return {keys[job.dedupe_key]: job for job in found if job.dedupe_key is not None}
