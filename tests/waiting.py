"""Waiting for a condition, in place of sleeping for a time."""

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """The condition's first true value. Fails, saying what was waited for, after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        select.select([], [], [], 0.01)  # leaves the core to those that are waited for
    return value
