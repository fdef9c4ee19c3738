"""What the routes of one process share. Built by the lifespan, found on the connection; nothing is global."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from huntaze.api.metrics import Metrics
from huntaze.api.probes import Probes
from huntaze.api.streams import Streams
from huntaze.clients.object_store import ObjectStore
from huntaze.models.database import Sessions
from huntaze.settings import Settings


@dataclass(frozen=True)
class Services:
    """Safe to share between threads."""

    settings: Settings
    sessions: Sessions
    objects: ObjectStore
    streams: Streams
    probes: Probes
    metrics: Metrics


async def _services(connection: HTTPConnection) -> Services:
    services: Services = connection.state.services
    return services


# `async`, though nothing waits: a plain function would cost a hop to a thread.
ServicesOf = Annotated[Services, Depends(_services)]
