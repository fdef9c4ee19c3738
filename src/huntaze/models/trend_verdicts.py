"""What a collected run is worth: its verdict, the alarms it raises, and whether detection may count it.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.base import new_id
from huntaze.models.trend_sources import RunState, TrendAlarm, TrendRun, TrendSource, Verdict
from huntaze.pipelines.trends.posts.health import Counts, Finding, judge, verdict_of

_HISTORY = 20  # runs that say what is usual
_SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class Concluded:
    """What became of a run."""

    verdict: Verdict
    feeds: bool
    findings: list[Finding]


# Posts that a run without worth found first are the sample of the first run that has some.
_ADOPT = text("""
    UPDATE posts SET run_id = :run_id, source_id = :source_id
    FROM post_metrics, trend_runs AS before
    WHERE post_metrics.run_id = :run_id AND posts.id = post_metrics.post_id
      AND before.id = posts.run_id AND NOT before.feeds AND before.id <> :run_id
""")


def conclude(session: Session, run_id: uuid.UUID) -> Concluded | None:
    """collecting -> collected, judged by what the source's healthy runs usually hold. None: it was concluded before.

    An alarm holds the source: its runs feed no detection until somebody has looked (`release`).
    """
    query = select(TrendRun).where(TrendRun.id == run_id, TrendRun.state == RunState.COLLECTING).with_for_update()
    run = session.scalars(query).one_or_none()
    if run is None:
        return None
    source = session.get_one(TrendSource, run.source_id, with_for_update=True)
    findings = judge(_usual(session, run), _counts(run))
    verdict = Verdict(verdict_of(_counts(run), whole=run.external_status == _SUCCEEDED, findings=findings))
    if findings and source.held_at is None:
        source.held_at = session.execute(select(func.clock_timestamp())).scalar_one()
    run.state, run.verdict = RunState.COLLECTED, verdict
    run.feeds = verdict == Verdict.SAMPLE and source.held_at is None
    run.ended_at = session.execute(select(func.clock_timestamp())).scalar_one()
    if run.feeds:
        source.build = source.build or run.build  # a build that did well stays, until somebody names another
    session.flush()
    raise_alarms(session, source, run_id, findings)
    if run.feeds:
        session.execute(_ADOPT, {"run_id": run.id, "source_id": source.id})
    return Concluded(verdict, run.feeds, findings)


def _counts(run: TrendRun) -> Counts:
    return Counts(run.posts, run.quarantined, run.sentinels, run.nulls)


def _usual(session: Session, run: TrendRun) -> list[Counts]:
    """Of the source's last runs that were samples."""
    query = select(TrendRun).where(TrendRun.source_id == run.source_id, TrendRun.verdict == Verdict.SAMPLE)
    past = session.scalars(query.where(TrendRun.id != run.id).order_by(TrendRun.id.desc()).limit(_HISTORY))
    return [_counts(one) for one in past]


_ALARM = text("""
    INSERT INTO trend_alarms (id, source_id, run_id, kind, field, usual, seen)
    VALUES (:id, :source_id, :run_id, :kind, :field, :usual, :seen) ON CONFLICT DO NOTHING
""")


def raise_alarms(session: Session, source: TrendSource, run_id: uuid.UUID, findings: Sequence[Finding]) -> None:
    """Writes what is wrong, once a run, kind and field, and tells the source's owner. A global source has no owner:
    its alarms are seen by operators, in the log, in `huntaze doctor` and in `huntaze sources alarms`."""
    for finding in findings:
        session.execute(_ALARM, {"id": new_id(), "source_id": source.id, "run_id": run_id, **finding._asdict()})
    if findings and source.creator_id is not None:
        data = {"source_id": str(source.id), "run_id": str(run_id), "findings": [one._asdict() for one in findings]}
        event_store.emit(session, source.creator_id, "source.held", source.id, data)


def release(session: Session, source_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> int | None:
    """Closes a source's alarms and lets its next runs feed detection again; the runs that were bad stay out. Returns
    how many alarms were open; None: there is no such source (of this creator, if one is named)."""
    owned = () if creator_id is None else (TrendSource.creator_id == creator_id,)
    statement = update(TrendSource).where(TrendSource.id == source_id, *owned).values(held_at=None)
    if session.scalars(statement.returning(TrendSource.id)).one_or_none() is None:
        return None
    opened = update(TrendAlarm).where(TrendAlarm.source_id == source_id, TrendAlarm.closed_at.is_(None))
    return len(session.execute(opened.values(closed_at=func.clock_timestamp()).returning(TrendAlarm.id)).all())


@dataclass(frozen=True)
class OpenAlarm:
    """One line for operators. Shares are 0..1."""

    source_id: uuid.UUID
    platform: str
    query: str
    kind: str
    field: str | None
    usual: float | None
    seen: float | None
    created_at: datetime

    def __str__(self) -> str:
        told = "" if self.seen is None else f" {100 * self.seen:.0f} %, usually {100 * (self.usual or 0):.0f} %"
        return f"{self.platform} {self.query}: {self.kind}{f' of {self.field}' if self.field else ''}{told}"


def open_alarms(session: Session, limit: int = 100) -> list[OpenAlarm]:
    """Alarms that nobody has closed, newest first."""
    columns = (TrendSource.platform, TrendSource.query, TrendAlarm.kind, TrendAlarm.field)
    more = (TrendAlarm.usual, TrendAlarm.seen, TrendAlarm.created_at)
    query = select(TrendSource.id, *columns, *more).join(TrendAlarm, TrendAlarm.source_id == TrendSource.id)
    rows = session.execute(query.where(TrendAlarm.closed_at.is_(None)).order_by(TrendAlarm.id.desc()).limit(limit))
    return [OpenAlarm(*row) for row in rows]


def count_open(session: Session) -> int:
    """How many alarms nobody has closed."""
    return session.scalars(select(func.count()).select_from(TrendAlarm).where(TrendAlarm.closed_at.is_(None))).one()
