"""From settings to clients: called once a process, after any fork."""

from dataclasses import dataclass, field

from huntaze.clients.ai.build import build_gateway
from huntaze.clients.ai.ports import Budget, ModelGateway
from huntaze.clients.apify.http import HttpActorRunner
from huntaze.clients.apify.runner import ActorRunner
from huntaze.clients.apify.twin import MemoryActorRunner
from huntaze.clients.object_store import ObjectStore
from huntaze.clients.payments.build import build_payments
from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.clients.payments.gateway import PaymentGateway
from huntaze.clients.s3 import S3ObjectStore
from huntaze.clients.webhooks.build import Webhooks, build_webhooks, scripted_webhooks
from huntaze.settings import Settings


@dataclass(frozen=True)
class Clients:
    """What handlers may ask of the outside world."""

    objects: ObjectStore
    ai: ModelGateway
    webhooks: Webhooks = field(default_factory=scripted_webhooks)
    actors: ActorRunner = field(default_factory=MemoryActorRunner)
    payments: PaymentGateway = field(default_factory=EmbeddedGateway)


def build_clients(settings: Settings, budget: Budget) -> Clients:
    """Builds all clients; `budget`: what models may cost. Opens no connection yet."""
    return Clients(
        objects=S3ObjectStore(settings.s3),
        ai=build_gateway(settings.ai, settings.redis, budget),
        webhooks=build_webhooks(settings.webhooks),
        actors=HttpActorRunner(settings.apify),
        payments=build_payments(settings.billing),
    )
