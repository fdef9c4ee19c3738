"""All SQL of sources, and how a source becomes a run: the intent, its money and its job in one transaction.

`session` is the caller's transaction; nothing here commits. Times are the database's, or the slot that is handed in.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from huntaze.models import job_enqueue, scrape_budget
from huntaze.models.base import new_id
from huntaze.models.job_args import TrendsScrape
from huntaze.models.job_store import db_now
from huntaze.models.trend_run_store import LIVE
from huntaze.models.trend_sources import RunState, SourceState, TrendRun, TrendSource
from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.periodic.slots import next_slot
from huntaze.pipelines.trends.posts.sources import LEAST_GAP, BadSource, SourceSpec, check_source

SOURCES_MOST = 50  # of one creator
_SPENT = ("scrape.budget_exhausted", "The month's money for scraping is spent or reserved; see huntaze sources budget.")


def create(session: Session, spec: SourceSpec, creator_id: uuid.UUID | None = None) -> TrendSource:
    """A source; without a creator everybody's. Raises BadSource; Permanent `source.exists`, `source.too_many`."""
    check_source(spec)
    if creator_id is not None and _count(session, creator_id) >= SOURCES_MOST:
        raise Permanent("source.too_many", f"A creator may have {SOURCES_MOST} sources.")
    columns = {name: getattr(spec, name) for name in SourceSpec.__dataclass_fields__}
    due = _next(spec.cron, db_now(session))
    statement = insert(TrendSource).values(
        id=new_id(), creator_id=creator_id, actor=spec.actor, next_run_at=due, state=SourceState.ACTIVE, **columns
    )
    made = session.scalars(statement.on_conflict_do_nothing().returning(TrendSource)).one_or_none()
    if made is None:
        raise Permanent("source.exists", "There is a source with this platform, query, region and language.")
    return made


def _count(session: Session, creator_id: uuid.UUID) -> int:
    query = select(func.count()).select_from(TrendSource).where(TrendSource.creator_id == creator_id)
    return session.scalars(query).one()


def _next(cron: str, moment: datetime) -> datetime:
    found = next_slot(cron, moment)
    if found is None:
        raise BadSource("cron", f"cron {cron!r} never comes again.")
    return found


def _seen_by(creator_id: uuid.UUID | None) -> ColumnElement[bool]:
    """A creator sees its own sources and everybody's; an operator (None) all."""
    if creator_id is None:
        return true()
    return or_(TrendSource.creator_id == creator_id, TrendSource.creator_id.is_(None))


def get(session: Session, source_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> TrendSource | None:
    """A source that this creator may see."""
    return session.scalars(select(TrendSource).where(TrendSource.id == source_id, _seen_by(creator_id))).one_or_none()


def search(
    session: Session,
    *,
    creator_id: uuid.UUID | None = None,
    platform: str | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> Sequence[TrendSource]:
    """Sources that this creator may see, newest first, below the cursor `before`."""
    query = select(TrendSource).where(_seen_by(creator_id)).order_by(TrendSource.id.desc()).limit(limit)
    if platform is not None:
        query = query.where(TrendSource.platform == platform)
    if before is not None:
        query = query.where(TrendSource.id < before)
    return session.scalars(query).all()


def hold_own(session: Session, source_id: uuid.UUID, creator_id: uuid.UUID | None) -> TrendSource | None:
    """A source that this creator may change, locked; any for an operator (None)."""
    owned = true() if creator_id is None else TrendSource.creator_id == creator_id
    return session.scalars(
        select(TrendSource).where(TrendSource.id == source_id, owned).with_for_update()
    ).one_or_none()


@dataclass(frozen=True)
class Changes:
    """What is to be different; None stays."""

    state: SourceState | None = None
    cron: str | None = None
    max_items: int | None = None
    max_charge_micro_usd: int | None = None
    build: str | None = None


def change(session: Session, source: TrendSource, changes: Changes) -> None:
    """Changes a source that is held. Runs under another cap are not compared with those before. Raises BadSource."""
    for name in Changes.__dataclass_fields__:
        value = getattr(changes, name)
        if value is not None:
            setattr(source, name, value)
    check_source(SourceSpec(**{name: getattr(source, name) for name in SourceSpec.__dataclass_fields__}))
    if changes.cron is not None or changes.state == SourceState.ACTIVE:
        source.next_run_at = _next(source.cron, db_now(session))
    session.flush()


def plan_due(session: Session, now: datetime, cap: int) -> TrendRun | None:
    """The run of one source that is due at `now`, and the source's next time; None: nothing is due.

    Of times that were missed one run is made. A source whose last run still goes is passed over until its next time.
    """
    due = (TrendSource.state == SourceState.ACTIVE) & (TrendSource.next_run_at <= now)
    query = select(TrendSource).where(due).order_by(TrendSource.next_run_at).limit(1).with_for_update(skip_locked=True)
    while (source := session.scalars(query).one_or_none()) is not None:
        slot, source.next_run_at = source.next_run_at, _next(source.cron, now)
        session.flush()
        if not _busy(session, source.id):
            return _plan(session, source, slot, cap)
    return None


def plan_now(session: Session, source: TrendSource, cap: int, *, apart: bool = False) -> TrendRun:
    """A run of a source that is held, asked for by hand. `apart`: not within the least gap after the last one.

    Raises Permanent `source.running`, `source.too_soon`."""
    if _busy(session, source.id):
        raise Permanent("source.running", "A run of this source is under way; wait for its end.")
    if apart and _ran_since(session, source.id, db_now(session) - LEAST_GAP):
        raise Permanent("source.too_soon", f"Runs are {LEAST_GAP.seconds // 60} minutes apart; wait a little.")
    return _plan(session, source, db_now(session), cap)


def _ran_since(session: Session, source_id: uuid.UUID, since: datetime) -> bool:
    query = select(TrendRun.id).where(TrendRun.source_id == source_id, TrendRun.created_at > since).limit(1)
    return session.scalars(query).one_or_none() is not None


def _busy(session: Session, source_id: uuid.UUID) -> bool:
    query = select(TrendRun.id).where(TrendRun.source_id == source_id, TrendRun.state.in_(LIVE)).limit(1)
    return session.scalars(query).one_or_none() is not None


def _plan(session: Session, source: TrendSource, slot: datetime, cap: int) -> TrendRun:
    """The intent, with its money put aside and its job; skipped, and saying so, where the month has no money left."""
    spec = SourceSpec(**{name: getattr(source, name) for name in SourceSpec.__dataclass_fields__})
    month = scrape_budget.reserve(session, source.max_charge_micro_usd, cap)
    run = TrendRun(
        id=new_id(),
        source_id=source.id,
        slot=slot,
        state=RunState.INTENDED if month else RunState.SKIPPED,
        actor=source.actor,
        input=spec.input(),
        build=source.build,
        max_items=source.max_items,
        max_charge_micro_usd=source.max_charge_micro_usd,
        month=month,
    )
    if month is None:
        run.error_message, run.ended_at = _SPENT[1], db_now(session)
    session.add(run)
    session.flush()
    if month is not None:
        args = TrendsScrape(run_id=run.id)
        job_enqueue.enqueue(session, args, creator_id=source.creator_id, subject_id=run.id)
    return run
