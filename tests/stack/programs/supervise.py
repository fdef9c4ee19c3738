"""A supervisor to be killed.

    supervise.py DATA_DIR ready|never-ready COMMAND ...
    supervise.py DATA_DIR stores

Prints "up", or the URL of the database, when all is started, and waits for ever.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.service import Service, Stage
from huntaze.cli.stack.supervisor import Supervisor

folder, mode, *command = sys.argv[1:]


async def answer() -> bool:
    return mode == "ready"


async def supervise(run: RunDir) -> None:
    async with Supervisor(run.logs, lock_fd=run.lock_fd) as supervisor:
        # The longest grace that a service could ask for: an orphan must not get it.
        service = Service(
            name="pool", argv=tuple(command), env=os.environ, ready=answer, stage=Stage.WORK, stop_timeout_s=60
        )
        await supervisor.start(service)
        print("up", flush=True)
        await asyncio.Event().wait()


if mode == "stores":
    from huntaze.cli.stack.stores import embedded_stores

    with embedded_stores(Path(folder)) as stores:
        print(stores.database_url, flush=True)
        signal.pause()
else:
    with RunDir(Path(folder)) as run:
        asyncio.run(supervise(run))
