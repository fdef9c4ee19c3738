"""All SQL of reports but for asking (models/report_requests.py). `session` is the caller's transaction."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from huntaze.models.jobs import Job, JobState
from huntaze.models.reports import Report, ReportState


def find(session: Session, report_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Report | None:
    """One report, if it is this creator's; any for a handler or an operator (None)."""
    query = select(Report).where(Report.id == report_id)
    return session.scalars(query if creator_id is None else query.where(Report.creator_id == creator_id)).one_or_none()


def list_reports(
    session: Session, creator_id: uuid.UUID | None, *, before: uuid.UUID | None = None, limit: int = 50
) -> Sequence[Report]:
    """Newest first, below the cursor `before`. None: of all creators, for an operator."""
    query = select(Report).order_by(Report.id.desc()).limit(limit)
    query = query if creator_id is None else query.where(Report.creator_id == creator_id)
    return session.scalars(query if before is None else query.where(Report.id < before)).all()


def make_ready(session: Session, report_id: uuid.UUID, files: list[dict[str, Any]]) -> Report:
    """Notes the files, which are there by now."""
    report = session.get_one(Report, report_id, with_for_update=True)
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    report.state, report.files, report.ready_at = ReportState.READY, files, now
    session.flush()
    return report


def follow_job(session: Session, job: Job) -> None:
    """A report whose job failed or was cancelled has failed; one that is tried again is being made."""
    report = None if job.subject_id is None else session.get(Report, job.subject_id, with_for_update=True)
    if report is None or report.state == ReportState.READY:
        return
    gone = job.state in (JobState.FAILED, JobState.CANCELLED)
    report.state = ReportState.FAILED if gone else ReportState.MAKING
    session.flush()
