"""The safety net under the AI budget."""

from huntaze.models import ai_ledger
from huntaze.models.ai_budget import tell
from huntaze.models.job_args import AiSweep
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job


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
