"""Work at a steady rate, whatever the answers take (an open loop)."""

import time
from collections.abc import Callable


def at_rate(rate: float, seconds: float, send: Callable[[int], None]) -> int:
    """Calls `send(n)` at its time, `rate` times a second; returns how many. Late calls are made up for at once."""
    total, start = int(rate * seconds), time.perf_counter()
    for n in range(total):
        wait = start + n / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        send(n)
    return total
