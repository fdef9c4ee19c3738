"""A fleet in this process: the real ledger and broker, handlers called by hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import job_dispatch
from huntaze.models.database import Sessions
from huntaze.models.job_args import JobArgs
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_kinds import KINDS
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.worker.base import run_job
from huntaze.worker.runtime import Runtime, build_runtime

NODE = "test-node"
KNOWN = {name: kind.args.version for name, kind in KINDS.items()}


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Iterator[Runtime]:
    built = build_runtime(settings)
    yield replace(built, clients=Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}")))
    built.sessions.kw["bind"].dispose()


@pytest.fixture
def work(runtime: Runtime) -> Callable[..., list[str]]:
    """Dispatches what is due and runs it here, with `handler` in place of the kind's own; returns the states."""

    def run(handler: Callable[[JobContext, JobArgs], None] | None = None) -> list[str]:
        here = runtime if handler is None else replace(runtime, handlers=dict.fromkeys(runtime.handlers, handler))
        states = []
        for queue in ("default", "video", "ai"):
            with runtime.sessions.begin() as session:
                job_dispatch.promote(session)
                hints = job_dispatch.take_due(session, queue, 100, KNOWN, Turns()).hints
            for hint in hints:
                job = run_job(here, NODE, hint.kind, hint.job_id)
                states.append("lost" if job is None else str(job.state))
        return states

    return run
