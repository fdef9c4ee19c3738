"""Celery's pool of processes, for one case that it does not survive."""

from typing import Any

from celery.concurrency import asynpool, prefork


class AsynPool(asynpool.AsynPool):  # type: ignore[misc]
    """A child may die just before a lost broker connection has all children registered anew. Celery then asks for
    events of a file descriptor that is gone, and that ends the node."""

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if getattr(proc, "_sentinel_poll", proc) is not None:  # else it died, and is replaced in a moment
            super()._track_child_process(proc, hub)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """For `app.Worker(pool=)`."""

    Pool = AsynPool
