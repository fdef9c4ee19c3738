"""For orchestrators and scrapers: no key, and nothing of any creator."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict

from huntaze.api.probes import StoreState
from huntaze.api.services import ServicesOf

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """`degraded`: requests are served, jobs wait for the broker. `unavailable`: send requests elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "ok", "stores": {"postgresql": "ok", "s3": "ok", "redis": "ok"}}],
        }
    )

    status: Literal["ok", "degraded", "unavailable"]
    stores: dict[str, StoreState]


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> Health:
    """Asks no store: a database that is away is no reason to restart this process."""
    return Health()


_UNAVAILABLE = {
    "status": "unavailable",
    "stores": {"postgresql": "unreachable", "s3": "ok", "redis": "ok"},
}


@router.get(
    "/readyz",
    responses={
        503: {
            "model": Readiness,
            "description": "PostgreSQL or S3 is away",
            "content": {"application/json": {"example": _UNAVAILABLE}},
        }
    },
    summary="Whether requests can be served",
)
async def readyz(services: ServicesOf, response: Response) -> Readiness:
    """Redis may be away: rows wait for it. Answers within three seconds."""
    stores = await services.probes.check()
    if stores["postgresql"] != "ok" or stores["s3"] != "ok":
        response.status_code = 503
        return Readiness(status="unavailable", stores=stores)
    return Readiness(status="ok" if stores["redis"] == "ok" else "degraded", stores=stores)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": "huntaze_open_streams 0.0"}}}},
    summary="Figures for Prometheus",
)
def metrics(services: ServicesOf) -> Response:
    """Requests by route template, open streams, live jobs by queue and state, age of the oldest due job a queue."""
    services.metrics.streams.set(services.streams.count)
    return Response(services.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
