"""Who gets a report: whoever asks, and by schedule every creator of whom there is anything to tell."""

import uuid
from datetime import date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import analytics_reads, job_enqueue
from huntaze.models.base import new_id
from huntaze.models.job_args import ReportMake
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.models.reports import Cadence, Report, ReportState
from huntaze.pipelines.analytics.buckets import month_start

BATCH = 500
_SCHEDULED_PRIORITY = 10  # behind what somebody waits for
_NOBODY = uuid.UUID(int=0)
# Each look is one into an index.
_ACTIVE = text("""
    SELECT id FROM users WHERE id > :after AND (
        EXISTS (SELECT FROM analytics_periods WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM ledger_entries WHERE creator_id = users.id)
        OR EXISTS (SELECT FROM content WHERE creator_id = users.id)
    ) ORDER BY id LIMIT :limit
""")
# A slot that runs twice makes no second report.
_MAKE = text("""
    INSERT INTO reports (id, creator_id, cadence, first, last, zone, state, files)
    VALUES (:id, :creator_id, :cadence, :first, :last, :zone, 'making', '[]')
    ON CONFLICT DO NOTHING RETURNING id
""")


def ask(session: Session, creator_id: uuid.UUID, first: date | None = None, last: date | None = None) -> Report:
    """A report of these days of the creator's zone (the last thirty, if they are left out), with its job. One of the
    same days that is being made already is the answer to this too. Raises BadRange."""
    wanted = analytics_reads.wanted_range(session, creator_id, first, last)
    query = select(Report).where(
        Report.creator_id == creator_id,
        Report.cadence == Cadence.ASKED,
        Report.state == ReportState.MAKING,
        Report.first == wanted.first,
        Report.last == wanted.last,
    )
    there = session.scalars(query.order_by(Report.id).limit(1)).one_or_none()
    if there is not None:
        return there
    report = Report(
        id=new_id(),
        creator_id=creator_id,
        cadence=Cadence.ASKED,
        first=wanted.first,
        last=wanted.last,
        zone=wanted.zone.key,
        files=[],
    )
    session.add(report)
    args = ReportMake(report_id=report.id)
    report.job_id = job_enqueue.enqueue(session, args, creator_id=creator_id, subject_id=report.id).job.id
    session.flush()
    return report


def days_of(cadence: Cadence, slot: datetime) -> tuple[date, date]:
    """The last whole week (Monday to Sunday), or month, before the slot."""
    today = slot.date()
    if cadence is Cadence.MONTH:
        last = month_start(today) - timedelta(days=1)
        return month_start(last), last
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(days=7), monday - timedelta(days=1)


def schedule(
    session: Session, cadence: Cadence, slot: datetime, after: uuid.UUID | None, limit: int = BATCH
) -> tuple[int, uuid.UUID | None]:
    """Reports, with their jobs, for the next creators behind `after`; those that have one of these days get no second.
    Returns how many were made, and behind whom to go on; None: that was all."""
    ids = session.scalars(_ACTIVE, {"after": after or _NOBODY, "limit": limit}).all()
    first, last = days_of(cadence, slot)
    made: list[NewJob] = []
    for creator_id in ids:
        zone = analytics_reads.own_zone(session, creator_id).key
        row = {"id": new_id(), "creator_id": creator_id, "cadence": cadence, "first": first, "last": last, "zone": zone}
        report_id = session.scalars(_MAKE, row).one_or_none()
        if report_id is not None:
            args = ReportMake(report_id=report_id)
            made.append(NewJob(args, creator_id=creator_id, subject_id=report_id, priority=_SCHEDULED_PRIORITY))
    if made:
        enqueue_many(session, made)
    return len(made), ids[-1] if len(ids) == limit else None
