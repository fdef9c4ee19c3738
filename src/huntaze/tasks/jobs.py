"""Housekeeping of the ledger itself."""

import time

from huntaze.models.job_args import JobsPrune
from huntaze.models.job_retention import Sweep, cutoffs
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

BUDGET_S = 120.0  # of one run; the next slot goes on


@job(JobsPrune)
def prune_jobs(ctx: JobContext, args: JobsPrune) -> None:
    """Deletes what is past its time, in small transactions."""
    assert ctx.settings is not None
    sweep = Sweep(cutoffs(ctx.settings.retention, args.slot))
    deadline = time.monotonic() + BUDGET_S
    while sweep.more and time.monotonic() < deadline:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            sweep.turn(session)
    with ctx.finish() as finish:
        finish.result.update(sweep.removed, more=sweep.more)
