"""All SQL of runs: each move is one conditional statement, so that whoever comes second changes nothing.

`session` is the caller's transaction; nothing here commits. Times are the database's. What follows from a collected
run is in `trend_verdicts.py`.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import scrape_budget
from huntaze.models.jobs import Job, JobState
from huntaze.models.trend_ingest import Stored
from huntaze.models.trend_sources import ApifyDispatch, RunState, TrendRun, TrendSource

LIVE = (RunState.INTENDED, RunState.STARTED, RunState.COLLECTING)


def load(session: Session, run_id: uuid.UUID) -> tuple[TrendRun, TrendSource]:
    """A run and its source, for the job that works on it. Raises NoResultFound."""
    query = select(TrendRun, TrendSource).join(TrendSource, TrendSource.id == TrendRun.source_id)
    row = session.execute(query.where(TrendRun.id == run_id)).one()
    return row[0], row[1]


def begin_start(session: Session, run: TrendRun) -> bool:
    """Notes, before a start is sent, that one is: whatever happens then, it is not sent again without a look. False:
    somebody else is at it."""
    held = (TrendRun.state == RunState.INTENDED) & (TrendRun.start_tries == run.start_tries)
    statement = update(TrendRun).where(TrendRun.id == run.id, held)
    values = {"start_tries": TrendRun.start_tries + 1, "start_tried_at": func.clock_timestamp()}
    return session.scalars(statement.values(**values).returning(TrendRun.id)).one_or_none() is not None


def not_started(session: Session, run_id: uuid.UUID) -> None:
    """The start that was sent certainly made no run: the next one needs no look."""
    held = (TrendRun.id == run_id) & (TrendRun.state == RunState.INTENDED)
    session.execute(update(TrendRun).where(held).values(start_tried_at=None))


def unclear_s(session: Session, run_id: uuid.UUID) -> float | None:
    """For how long it has not been known whether there is a run, in seconds; None: no start is unaccounted for."""
    age = func.extract("epoch", func.clock_timestamp() - TrendRun.start_tried_at)
    value = session.execute(
        select(age).where(TrendRun.id == run_id, TrendRun.external_id.is_(None))
    ).scalar_one_or_none()
    return None if value is None else float(value)


def running_s(session: Session, run_id: uuid.UUID) -> float:
    """For how long a run goes, in seconds; 0 for one that is not known to have started."""
    age = func.extract("epoch", func.clock_timestamp() - TrendRun.observed_at)
    return float(session.execute(select(age).where(TrendRun.id == run_id)).scalar_one() or 0)


@dataclass(frozen=True)
class Started:
    """What the vendor says of the run that it made for us."""

    external_id: str
    dataset_id: str
    status: str
    observed_at: datetime
    build: str | None


def started(session: Session, run_id: uuid.UUID, seen: Started) -> bool:
    """intended -> started. False: it was known before. Raises IntegrityError for a run that is another's."""
    statement = update(TrendRun).where(TrendRun.id == run_id, TrendRun.state == RunState.INTENDED)
    values = {
        "state": RunState.STARTED,
        "external_id": seen.external_id,
        "dataset_id": seen.dataset_id,
        "external_status": seen.status,
        "observed_at": seen.observed_at,
        "build": func.coalesce(seen.build, TrendRun.build),
    }
    return session.scalars(statement.values(**values).returning(TrendRun.id)).one_or_none() is not None


def taken(session: Session, external_ids: Collection[str]) -> set[str]:
    """Which of the vendor's runs are known to be somebody's."""
    return set(session.scalars(select(TrendRun.external_id).where(TrendRun.external_id.in_(list(external_ids)))).all())  # type: ignore[arg-type]


def noted(session: Session, run_id: uuid.UUID, status: str) -> None:
    """What the vendor last said of a run that still moves."""
    held = (TrendRun.id == run_id) & (TrendRun.state == RunState.STARTED)
    session.execute(update(TrendRun).where(held).values(external_status=status))


def ended(session: Session, run_id: uuid.UUID, status: str, cost_micro_usd: int | None) -> bool:
    """started -> collecting, and its money settled: what it found is paid for however it ended. False: known before."""
    statement = update(TrendRun).where(TrendRun.id == run_id, TrendRun.state == RunState.STARTED)
    values = {"state": RunState.COLLECTING, "external_status": status}
    if session.scalars(statement.values(**values).returning(TrendRun.id)).one_or_none() is None:
        return False
    scrape_budget.settle(session, run_id, cost_micro_usd)
    return True


_LOCK = text("SELECT dataset_offset, nulls FROM trend_runs WHERE id = :id AND state = 'collecting' FOR UPDATE")


def hold_at(session: Session, run_id: uuid.UUID, offset: int) -> dict[str, int] | None:
    """Locks a run whose checkpoint is `offset`: its {field: posts without it} so far. None: somebody else read on."""
    row = session.execute(_LOCK, {"id": run_id}).one_or_none()
    return None if row is None or row.dataset_offset != offset else row.nulls


def read_on(
    session: Session, run_id: uuid.UUID, nulls: dict[str, int], stored: Stored, *, offset: int, total: int
) -> None:
    """Moves the checkpoint of a run that is held to `offset`, and adds up what the page came to."""
    session.execute(
        update(TrendRun)
        .where(TrendRun.id == run_id)
        .values(
            dataset_offset=offset,
            dataset_total=total,
            items=TrendRun.items + stored.rows,
            posts=TrendRun.posts + stored.posts,
            posts_new=TrendRun.posts_new + stored.posts_new,
            quarantined=TrendRun.quarantined + stored.quarantined,
            sentinels=TrendRun.sentinels + stored.sentinels,
            nulls={name: nulls.get(name, 0) + count for name, count in stored.nulls.items()},
        )
    )


def follow_job(session: Session, job: Job) -> None:
    """Keeps a run in step with an end that its job's handler did not write: failure, cancellation, a replay."""
    if job.subject_id is None:
        return
    if job.state == JobState.FAILED:
        _end(session, job.subject_id, RunState.FAILED, job.error_code, job.error_message)
    elif job.state == JobState.CANCELLED:
        _end(session, job.subject_id, RunState.CANCELLED, None, None)
    elif job.state == JobState.WAITING:
        revived = (TrendRun.id == job.subject_id) & (TrendRun.state == RunState.FAILED)
        read = revived & TrendRun.dataset_id.is_not(None) & TrendRun.cost_micro_usd.is_not(None)
        values = {"state": RunState.COLLECTING, "error_code": None, "error_message": None, "ended_at": None}
        session.execute(update(TrendRun).where(read).values(**values))


def _end(session: Session, run_id: uuid.UUID, state: RunState, code: str | None, message: str | None) -> None:
    """A run that will not be collected. What it may have cost counts: nothing only if no start is unaccounted for."""
    statement = update(TrendRun).where(TrendRun.id == run_id, TrendRun.state.in_(LIVE))
    values = {"state": state, "error_code": code, "error_message": message, "ended_at": func.clock_timestamp()}
    run = session.scalars(statement.values(**values).returning(TrendRun)).one_or_none()
    if run is not None:
        nothing = run.external_id is None and run.start_tried_at is None
        scrape_budget.settle(session, run_id, 0 if nothing else None)


def note_dispatch(
    session: Session, run_id: uuid.UUID, dispatch_id: str, event_type: str, external_id: str | None
) -> bool:
    """Puts a webhook into the inbox. False: it is there already, or there is no such run."""
    statement = text("""
        INSERT INTO apify_dispatches (dispatch_id, run_id, external_id, event_type)
        SELECT :dispatch_id, id, :external_id, :event_type FROM trend_runs WHERE id = :run_id
        ON CONFLICT DO NOTHING RETURNING 1
    """)
    given = {"run_id": run_id, "dispatch_id": dispatch_id, "external_id": external_id, "event_type": event_type}
    return session.execute(statement, given).one_or_none() is not None


def runs_of(session: Session, source_id: uuid.UUID, limit: int = 20) -> Sequence[TrendRun]:
    """The runs of a source, newest first."""
    query = select(TrendRun).where(TrendRun.source_id == source_id).order_by(TrendRun.id.desc()).limit(limit)
    return session.scalars(query).all()


def dispatches_of(session: Session, run_id: uuid.UUID) -> Sequence[ApifyDispatch]:
    """What webhooks have told of a run, oldest first."""
    query = select(ApifyDispatch).where(ApifyDispatch.run_id == run_id).order_by(ApifyDispatch.received_at)
    return session.scalars(query).all()
