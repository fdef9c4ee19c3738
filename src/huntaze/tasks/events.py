"""The safety net under the live fan-out of events."""

from huntaze.models import event_store
from huntaze.models.job_args import EventsPlace
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job


@job(EventsPlace)
def place_events(ctx: JobContext, args: EventsPlace) -> None:  # noqa: ARG001
    """Gives positions to whatever the dispatchers left, in small transactions."""
    placed, batch = 0, 1
    while batch:
        ctx.checkpoint()
        with ctx.sessions.begin() as session:
            batch = event_store.place(session)
        placed += batch
    with ctx.finish() as finish:
        finish.result["placed"] = placed
