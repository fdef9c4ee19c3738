"""A service that leaves a trace of its end.

    orderly.py TRACE NAME [COMPANION]

On SIGTERM it appends "NAME asked" to TRACE, waits until COMPANION has been asked as well, appends "NAME gone" and ends.
"""

import os
import signal
import sys
import time
from pathlib import Path

trace, name, companion = Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None


def note(event: str) -> None:
    with trace.open("a") as file:
        file.write(f"{name} {event}\n")


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
signal.sigwait({signal.SIGTERM})
note("asked")
while companion and f"{companion} asked" not in trace.read_text():
    time.sleep(0.01)
note("gone")
os._exit(0)
