"""Nothing, through the whole engine."""

from huntaze.models.job_args import Noop
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job


@job(Noop)
def noop(ctx: JobContext, args: Noop) -> None:
    """Succeeds."""
