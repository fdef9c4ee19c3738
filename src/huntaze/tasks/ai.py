"""The safety net under the AI budget, and what of its rows is let go of."""

import time
from datetime import UTC, datetime

from huntaze.models import ai_ledger, ai_retention
from huntaze.models.ai_budget import tell
from huntaze.models.job_args import AiPrune, AiSweep
from huntaze.pipelines.analytics.buckets import months_before
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BUDGET_S = 120.0  # of one run of the retention; the next slot goes on
_FIRST = datetime.fromtimestamp(0, UTC)


@job(AiSweep)
def sweep_calls(ctx: JobContext, args: AiSweep) -> None:  # noqa: ARG001 - leases run out by the database's clock
    """Settles the calls that outlived their lease, one a transaction."""
    settled = 0
    while True:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            swept = ai_ledger.sweep(session)
        if swept is None:
            break
        tell(swept.warned)
        settled += 1
    with ctx.finish() as finish:
        finish.result["settled"] = settled


@job(AiPrune)
def prune_calls(ctx: JobContext, args: AiPrune) -> None:
    """Deletes calls that are past their months, in small transactions."""
    assert ctx.settings is not None
    first = months_before(args.slot.astimezone(UTC).date(), ctx.settings.retention.calls_months)
    before, deleted = datetime(first.year, first.month, 1, tzinfo=UTC), 0
    deadline = time.monotonic() + BUDGET_S
    after: datetime | None = _FIRST
    while after is not None and time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            count, after = ai_retention.prune(session, before, after)
        deleted += count
    with ctx.finish() as finish:
        finish.result.update(deleted=deleted, more=after is not None)
