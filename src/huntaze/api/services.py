"""What the routes of one process share. Built by the lifespan, found on the connection; nothing is global."""

import threading
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from huntaze.api.metrics import Metrics
from huntaze.api.models_at_work import ModelsAtWork
from huntaze.api.probes import Probes
from huntaze.api.streams import Streams
from huntaze.clients.object_store import ObjectStore
from huntaze.clients.read_cache import ReadCache
from huntaze.models.database import Sessions
from huntaze.settings import Settings

# Requests that may wait for the object store at a time: half of the 40 threads that routes run in, so that a store
# that hangs leaves the other half to routes that do not ask it.
LOOK_UPS = 20
LOOK_UP_WAIT_S = 0.3  # a store in health answers in milliseconds: a burst gets through, a hang is told soon


@dataclass(frozen=True)
class Services:
    """Safe to share between threads. `statements`: sessions on the same connections that commit each statement, for
    work that is one of them. `look_ups`: held around a call to the object store."""

    settings: Settings
    sessions: Sessions
    statements: Sessions
    objects: ObjectStore
    streams: Streams
    probes: Probes
    metrics: Metrics
    models: ModelsAtWork
    reads: ReadCache
    look_ups: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(LOOK_UPS))


async def _services(connection: HTTPConnection) -> Services:
    services: Services = connection.state.services
    return services


# `async`, though nothing waits: a plain function would cost a hop to a thread.
ServicesOf = Annotated[Services, Depends(_services)]
