"""A service that will not go: it, a child in its group and a grandchild in a session of its own ignore SIGTERM.

    stubborn_pool.py FILE

Writes the process ids of all three to FILE, one a line, when they are ready.
"""

import os
import signal
import sys
from pathlib import Path

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
family = Path(sys.argv[1])
parent = os.getpid()
readable, writable = os.pipe()
if os.fork() == 0:
    middle = os.getpid()
    if os.fork() == 0:
        os.setsid()
        os.write(writable, f"{parent}\n{middle}\n{os.getpid()}\n".encode())
else:
    draft = family.with_suffix(".new")
    draft.write_bytes(os.read(readable, 100))
    draft.rename(family)
while True:
    signal.pause()
