"""The safety net under the live fan-out of events, and their end."""

import time
from datetime import timedelta

from huntaze.models import event_retention, webhook_deliveries, webhook_log
from huntaze.models.job_args import EventsPlace, EventsPrune
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BUDGET_S = 120.0  # of one run of the retention; the next slot goes on


@job(EventsPlace)
def place_events(ctx: JobContext, args: EventsPlace) -> None:  # noqa: ARG001
    """Gives positions, and deliveries, to whatever the dispatchers left, in small transactions; then calls the
    deliveries that wait behind nothing."""
    placed, called, batch = 0, 0, 1
    while batch:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            batch = webhook_deliveries.place(session)
        placed += batch
    batch = webhook_log.ROWS
    while batch == webhook_log.ROWS:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            batch = webhook_log.sweep(session)
        called += batch
    with ctx.finish() as finish:
        finish.result.update(placed=placed, called=called)


@job(EventsPrune)
def prune_events(ctx: JobContext, args: EventsPrune) -> None:
    """Deletes events that are past their time, in small transactions."""
    assert ctx.settings is not None
    before = args.slot - timedelta(days=ctx.settings.retention.events_days)
    deadline = time.monotonic() + BUDGET_S
    deleted = 0
    after: int | None = 0
    while after is not None and time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            count, after = event_retention.prune(session, before, after)
        deleted += count
    with ctx.finish() as finish:
        finish.result.update(deleted=deleted, more=after is not None)
