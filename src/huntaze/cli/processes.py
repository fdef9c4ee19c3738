"""`huntaze api|worker|dispatcher|beat|flower`: this process becomes the one that is named."""

import os
import sys
from collections.abc import Callable

import typer

# The doors do not import each other: the command line hands over to the module of the other door.
_MODULES = {"api": "huntaze.api"}
_WORKER = "huntaze.worker"
_HELP = {
    "api": "Serve the HTTP API.",
    "worker": "Claim and run jobs (--queues video, or ai,io,default; --concurrency N).",
    "dispatcher": "Send due jobs to the broker, rescue lost ones, place events. Any number may run.",
    "beat": "Fire the schedule. Harmless if two run, or none for an hour.",
    "flower": "Show workers and tasks to operators, behind a password.",
}


def _become(name: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        argv = ["-m", _MODULES[name]] if name in _MODULES else ["-m", _WORKER, name]
        os.execv(sys.executable, [sys.executable, *argv, *context.args])  # noqa: S606 - our own interpreter

    run.__doc__ = _HELP[name]
    return run


api, worker, dispatcher, beat, flower = (_become(name) for name in _HELP)
