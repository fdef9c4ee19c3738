"""All SQL of trend reports but for asking (`trend_report_requests.py`) and their figures (`trend_report_figures.py`).

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from huntaze.models.jobs import Job, JobState
from huntaze.models.reports import ReportState
from huntaze.models.trend_reports import TrendReport


def find(session: Session, report_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> TrendReport | None:
    """One report, if it is this creator's; any for a handler (None)."""
    query = select(TrendReport).where(TrendReport.id == report_id)
    owned = query if creator_id is None else query.where(TrendReport.creator_id == creator_id)
    return session.scalars(owned).one_or_none()


def list_reports(
    session: Session, creator_id: uuid.UUID | None, *, before: uuid.UUID | None = None, limit: int = 50
) -> Sequence[TrendReport]:
    """Newest first, below the cursor `before`. None: of all creators, for an operator."""
    query = select(TrendReport).order_by(TrendReport.id.desc()).limit(limit)
    query = query if creator_id is None else query.where(TrendReport.creator_id == creator_id)
    return session.scalars(query if before is None else query.where(TrendReport.id < before)).all()


def make_ready(session: Session, report_id: uuid.UUID, words: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """Notes what it says and its files, which are there by now."""
    report = session.get_one(TrendReport, report_id, with_for_update=True)
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    report.state, report.words, report.files, report.ready_at = ReportState.READY, words, files, now
    session.flush()


def follow_job(session: Session, job: Job) -> None:
    """A report whose job failed or was cancelled has failed; one that is tried again is being made."""
    report = None if job.subject_id is None else session.get(TrendReport, job.subject_id, with_for_update=True)
    if report is None or report.state == ReportState.READY:
        return
    gone = job.state in (JobState.FAILED, JobState.CANCELLED)
    report.state = ReportState.FAILED if gone else ReportState.MAKING
    session.flush()
