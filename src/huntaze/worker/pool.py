"""Celery's pools: of processes, for one case that it does not survive; of threads, which keep their loop waiting."""

from typing import Any

from celery.concurrency import asynpool, prefork, thread


class AsynPool(asynpool.AsynPool):  # type: ignore[misc]
    """A child may die just before a lost broker connection has all children registered anew. Celery then asks for
    events of a file descriptor that is gone, and that ends the node."""

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if getattr(proc, "_sentinel_poll", proc) is not None:  # else it died, and is replaced in a moment
            super()._track_child_process(proc, hub)


class ProcessPool(prefork.TaskPool):  # type: ignore[misc]
    """For `app.Worker(pool=)`."""

    Pool = AsynPool


class ThreadPool(thread.TaskPool):  # type: ignore[misc]
    """For `app.Worker(pool=)`. A slot that a job has left wakes the node's loop: without prefetching, that is what it
    waits for to ask for the next hint, and Celery would let it sleep until something else comes."""

    _hub: Any = None

    def register_with_event_loop(self, loop: Any) -> None:
        super().register_with_event_loop(loop)
        self._hub = loop

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        result = super().on_apply(*args, **kwargs)
        result.f.add_done_callback(self._wake)
        return result

    def _wake(self, _: Any) -> None:
        if self._hub is not None:
            self._hub.call_soon(_nothing)


def _nothing() -> None:
    pass
