"""The pool alone."""

import os
import threading
from types import SimpleNamespace

from kombu.asynchronous import Hub

from huntaze.worker.pool import AsynPool, ThreadPool


def test_a_child_that_died_before_it_was_registered_ends_no_node() -> None:
    pool, hub = object.__new__(AsynPool), Hub()
    told, tell = os.pipe()
    pool._track_child_process(SimpleNamespace(_sentinel_poll=None), hub)
    assert not hub.readers
    pool._track_child_process(SimpleNamespace(_sentinel_poll=told), hub)
    assert list(hub.readers) == [told]
    hub.close()
    os.close(told)
    os.close(tell)


def test_a_thread_that_ends_a_job_wakes_the_loop() -> None:
    """Only then: what the loop looks at, how many jobs are under way, is told by the job's callback."""
    told: list[str] = []
    woken = threading.Event()

    def call_soon(_: object) -> None:
        told.append("woken")
        woken.set()

    pool = ThreadPool(limit=1)
    pool.register_with_event_loop(SimpleNamespace(call_soon=call_soon))
    pool.on_apply(lambda: told.append("run"), (), {}, callback=lambda _: told.append("ended"))
    assert woken.wait(5)
    assert told == ["run", "ended", "woken"]
    pool.on_stop()
