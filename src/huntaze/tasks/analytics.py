"""Counting, retention and erasure: in small transactions. Killed between any two, the next run goes on."""

import time
from collections.abc import Callable
from datetime import date
from typing import Protocol, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from huntaze.models import (
    analytics_erasure,
    analytics_partitions,
    analytics_periods,
    analytics_retention,
    analytics_sources,
)
from huntaze.models import analytics_rollups as rollups
from huntaze.models.job_args import AnalyticsErase, AnalyticsMonths, AnalyticsRetain, AnalyticsRollup
from huntaze.pipelines.analytics.buckets import months_before
from huntaze.pipelines.errors import Permanent
from huntaze.tasks.context import JobContext, Snooze
from huntaze.tasks.registry import job

BUDGET_S = 120.0  # of one run; the next slot goes on
_AGAIN_S = 5.0  # somebody else was counting


class _Turn(Protocol):
    @property
    def more(self) -> bool: ...


Turn = TypeVar("Turn", bound=_Turn)


@job(AnalyticsRollup)
def roll_up(ctx: JobContext, args: AnalyticsRollup) -> None:  # noqa: ARG001
    """Facts of what other domains did; buckets of what is new or dirty; then their days."""
    deadline = time.monotonic() + BUDGET_S
    heard = _take_turns(ctx, analytics_sources.take, deadline)
    turns = _take_turns(ctx, rollups.roll, deadline)
    days = _take_turns(ctx, analytics_periods.settle, deadline)
    with ctx.finish() as finish:
        finish.result["heard"] = sum(turn.rows for turn in heard)
        finish.result["facts"] = sum(turn.facts for turn in turns)
        finish.result["buckets"] = sum(turn.buckets for turn in turns)
        finish.result["days"] = sum(turn.periods for turn in days)


@job(AnalyticsMonths)
def derive_months(ctx: JobContext, args: AnalyticsMonths) -> None:  # noqa: ARG001
    """Months of days that have changed."""
    turns = _take_turns(ctx, analytics_periods.settle_months, time.monotonic() + BUDGET_S)
    with ctx.finish() as finish:
        finish.result["months"] = sum(turn.periods for turn in turns)


def _take_turns(ctx: JobContext, take: Callable[[Session], Turn | None], deadline: float) -> list[Turn]:
    """Until nothing is left, somebody else is at it, or the time is over."""
    turns: list[Turn] = []
    while time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            turn = take(session)
        if turn is None:
            break
        turns.append(turn)
        if not turn.more:
            break
    return turns


@job(AnalyticsRetain)
def retain(ctx: JobContext, args: AnalyticsRetain) -> None:
    """Tables for the months to come; then months that are past their time go, and the ids of their events."""
    assert ctx.settings is not None
    with ctx.sessions.begin() as session:
        made = analytics_retention.make_ahead(session, args.slot)
    before, dropped = months_before(args.slot.date(), ctx.settings.retention.facts_months), []
    while month := _expired(ctx, before):
        dropped.append(month)
    ids, block = 0, 0 if dropped else None  # all of the table is read: what a crash leaves is for the next month
    while block is not None:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            gone, block = analytics_retention.forget_ids(session, block)
        ids += gone
    with ctx.finish() as finish:
        finish.result.update(made=[f"{month:%Y-%m}" for month in made], dropped=dropped, ids=ids)


def _expired(ctx: JobContext, before: date) -> str | None:
    """The month that was dropped; None: none is left, or its readers did not let go in time."""
    ctx.checkpoint()
    try:
        with ctx.sessions.begin() as session:
            month = analytics_retention.expire(session, before)
    except OperationalError:
        return None
    return None if month is None else f"{month.start:%Y-%m}"


@job(AnalyticsErase)
def erase_person(ctx: JobContext, args: AnalyticsErase) -> None:
    """Out of the facts, then out of all that was counted; the receipt is signed when nothing is left to be found."""
    with ctx.sessions() as session:
        erasure = analytics_erasure.find(session, args.erasure_id)
        months = analytics_partitions.months(session)
    if erasure is None:
        raise Permanent("analytics.no_erasure", "There is no such request.")
    for done, month in enumerate(months):
        ctx.progress(0.8 * done / len(months), "facts")
        with ctx.sessions.begin() as session:
            analytics_erasure.erase_month(session, erasure, month)
    place: analytics_erasure.Place | None = analytics_erasure.FIRST
    while place is not None:
        ctx.progress(0.8, "figures")
        with ctx.sessions.begin() as session:
            place = analytics_erasure.erase_final(session, erasure, place)
    deadline = time.monotonic() + BUDGET_S
    for take in (rollups.roll, analytics_periods.settle, analytics_periods.settle_months):
        _take_turns(ctx, take, deadline)
    with ctx.sessions() as session:
        left = analytics_erasure.remains(session, erasure)
    if left:
        raise Snooze(_AGAIN_S)
    with ctx.finish() as finish:
        finish.result.update(analytics_erasure.finish(finish.session, args.erasure_id))
        finish.emit("analytics.erased", args.erasure_id, dict(finish.result))
