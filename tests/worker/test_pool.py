"""The pool alone."""

import os
from types import SimpleNamespace

from kombu.asynchronous import Hub

from huntaze.worker.pool import AsynPool


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
