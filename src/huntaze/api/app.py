"""The application, put together. Nothing opens before the lifespan starts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from huntaze import tracing
from huntaze.api import docs_page, error_handlers
from huntaze.api.edge import Edge
from huntaze.api.metrics import Metrics
from huntaze.api.models_at_work import ModelsAtWork
from huntaze.api.probes import Probes
from huntaze.api.problems import Problem
from huntaze.api.routes import (
    ai_usage,
    analytics,
    analytics_events,
    apify_webhooks,
    batches,
    billing_invoices,
    billing_subscriptions,
    events,
    health,
    insights,
    jobs,
    offers,
    payment_webhooks,
    reports,
    suggestions,
    trend_reports,
    trend_sources,
    trends,
    uploads,
    videos,
    webhooks,
)
from huntaze.api.schemas.analytics_events import EventBatch
from huntaze.api.services import Services
from huntaze.api.streams import StreamPolicy, Streams
from huntaze.clients.ai.build import build_gateway
from huntaze.clients.ai.ports import Budget, ModelGateway
from huntaze.clients.read_cache import ReadCache
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import tally
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.database import build_engine, build_sessions
from huntaze.settings import Settings

_DESCRIPTION = """
Upload a video (`POST /v1/uploads`, then a PUT to the URL), have it looked at (`POST /v1/videos`; up to 1,000 at once:
`POST /v1/batches`), follow along (`GET /v1/events`), read the result (`GET /v1/videos/{id}`).

Every refusal is a problem document (RFC 9457) with a stable `code`. 503 comes with `Retry-After`; a repeat of
`POST /v1/videos` or `POST /v1/batches` is safe with an `Idempotency-Key`.
"""
_TAGS = [
    {"name": "uploads", "description": "Files go straight to the object store."},
    {"name": "videos", "description": "What the fleet saw."},
    {"name": "batches", "description": "Many videos at once."},
    {"name": "jobs", "description": "The work behind it."},
    {"name": "events", "description": "Live, without gaps."},
    {"name": "billing", "description": "Subscriptions, invoices, and the ledger behind them."},
    {"name": "ai", "description": "What models have cost, and their answers."},
    {"name": "analytics", "description": "What happened, and what it came to."},
    {"name": "sources", "description": "What is scraped for trends."},
    {"name": "trends", "description": "What is rising, and which of it suits a creator."},
    {"name": "webhooks", "description": "Events, told to a URL: signed, in order, tried again."},
    {"name": "offers", "description": "A price or a share off, for a time, for some fans, so many times."},
    {"name": "health", "description": "For operators; no key needed."},
]


class Api(FastAPI):
    """FastAPI whose document knows the shapes that no route returns or takes by FastAPI's own means."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        template = "#/components/schemas/{model}"
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for shape in (Problem, EventBatch):
            definition = shape.model_json_schema(ref_template=template)
            schemas.update(definition.pop("$defs") | {shape.__name__: definition})
        return document


def build_app(
    settings: Settings,
    *,
    policy: StreamPolicy | None = None,
    gateway: Callable[[Budget], ModelGateway] | None = None,
) -> FastAPI:
    """The ASGI application. Its server ends `app.state.streams` at a stop, and reads `app.state.settings`.
    `gateway`: in place of the one of the settings."""
    metrics, streams = Metrics(), Streams(policy or StreamPolicy())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        engine = build_engine(
            settings.database.sqlalchemy_url,
            pool_size=2 * settings.database.pool_size,
            overflow=0,  # here a rush is the normal thing, and to make a connection costs as much as many requests
            application="huntaze-api",
            isolation_level="AUTOCOMMIT",
        )
        # A client waits for the answer, and a thread with it; the client is the one who tries again.
        objects = S3ObjectStore(settings.s3, read_timeout_s=3, attempts=1)
        probes = Probes(settings, objects)
        sessions = build_sessions(engine.execution_options(isolation_level="READ COMMITTED"))
        statements = build_sessions(engine)
        ledger = BudgetLedger(statements)
        models = gateway(ledger) if gateway else build_gateway(settings.ai, settings.redis, ledger)
        streams.serve_from(sessions)
        metrics.watch_backlog(probes.sessions)
        tally.watch(sessions, metrics.tally)
        tally.watch(statements, metrics.tally)
        listener = asyncio.create_task(streams.listen(settings.database.libpq_url), name="event-listener")
        try:
            yield {
                "services": Services(
                    settings,
                    sessions,
                    statements,
                    objects,
                    streams,
                    probes,
                    metrics,
                    ModelsAtWork(models),
                    ReadCache(settings.redis),
                )
            }
        finally:
            streams.close()
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener
            models.close()
            probes.close()
            objects.close()
            engine.dispose()

    app = Api(
        title="Huntaze workers",
        version=version("huntaze-workers"),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        redirect_slashes=False,
        telemetry=tracing.for_fastapi(),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings, app.state.streams = settings, streams
    app.add_middleware(Edge, metrics=metrics)
    error_handlers.install(app)
    for part in (
        uploads,
        videos,
        batches,
        jobs,
        events,
        billing_invoices,
        billing_subscriptions,
        ai_usage,
        suggestions,
        insights,
        analytics,
        analytics_events,
        reports,
        trend_sources,
        trends,
        trend_reports,
        apify_webhooks,
        webhooks,
        offers,
        payment_webhooks,
        health,
    ):
        app.include_router(part.router)
    docs_page.install(app)
    return app
