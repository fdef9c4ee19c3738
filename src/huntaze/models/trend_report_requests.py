"""Who gets a trend report: whoever asks, and each Monday every creator to whom trends may matter.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import job_enqueue, recommendation_store
from huntaze.models.base import new_id
from huntaze.models.job_args import TrendsReport
from huntaze.models.job_enqueue import NewJob, enqueue_many
from huntaze.models.job_store import db_now
from huntaze.models.reports import ReportState
from huntaze.models.trend_reports import TrendCadence, TrendReport

_BEHIND = 10  # what somebody waits for goes first
_DAYS = 7
# A slot that runs twice makes no second report.
_MAKE = text("""
    INSERT INTO trend_reports (id, creator_id, cadence, first, last, state, files)
    SELECT id, creator_id, 'week', :first, :last, 'making', '[]'
    FROM unnest(cast(:ids AS uuid[]), cast(:creators AS uuid[])) AS wanted (id, creator_id) ORDER BY creator_id
    ON CONFLICT DO NOTHING RETURNING id, creator_id
""")


def ask(session: Session, creator_id: uuid.UUID) -> TrendReport:
    """A report of the last seven whole days (UTC), with its job. One of the same days that is being made already is the
    answer to this too."""
    last = db_now(session).astimezone(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=_DAYS - 1)
    asked = (TrendReport.cadence == TrendCadence.ASKED) & (TrendReport.state == ReportState.MAKING)
    query = select(TrendReport).where(TrendReport.creator_id == creator_id, asked, TrendReport.first == first)
    there = session.scalars(query.order_by(TrendReport.id).limit(1)).one_or_none()
    if there is not None:
        return there
    report = TrendReport(
        id=new_id(), creator_id=creator_id, cadence=TrendCadence.ASKED, first=first, last=last, files=[]
    )
    session.add(report)
    session.flush()
    args = TrendsReport(report_id=report.id)
    report.job_id = job_enqueue.enqueue(session, args, creator_id=creator_id, subject_id=report.id).job.id
    session.flush()
    return report


def week_of(slot: datetime) -> tuple[date, date]:
    """The last whole week before the slot, Monday to Sunday, UTC."""
    today = slot.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(days=_DAYS), monday - timedelta(days=1)


def schedule(session: Session, slot: datetime, after: uuid.UUID | None, limit: int) -> tuple[int, uuid.UUID | None]:
    """Reports of the slot's week, with their jobs, for the next creators behind `after`; those that have one get no
    second. Returns how many were made, and behind whom to go on; None: that was all."""
    ids = recommendation_store.active(session, after, limit)
    first, last = week_of(slot)
    wanted = {"ids": [new_id() for _ in ids], "creators": list(ids), "first": first, "last": last}
    made = session.execute(_MAKE, wanted).all()
    jobs = [
        NewJob(TrendsReport(report_id=row.id), creator_id=row.creator_id, subject_id=row.id, priority=_BEHIND)
        for row in made
    ]
    if jobs:
        enqueue_many(session, jobs)
    return len(jobs), ids[-1] if len(ids) == limit else None
