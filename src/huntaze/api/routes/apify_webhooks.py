"""What Apify tells of a run's end. The address is the secret, and what it says is only a reason to ask. Not for
callers, so not in their document."""

import hashlib
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header
from pydantic import BaseModel

from huntaze.api.problems import not_found
from huntaze.api.services import ServicesOf
from huntaze.clients.apify.hooks import PATH, is_token
from huntaze.models import job_enqueue, trend_run_store
from huntaze.models.job_args import TrendsCheck

router = APIRouter(include_in_schema=False)


class Received(BaseModel):
    """The same for every delivery of a dispatch."""

    received: bool = True


@router.post(f"{PATH}/{{run_id}}/{{token}}", status_code=202)
def receive(
    run_id: uuid.UUID,
    token: str,
    services: ServicesOf,
    body: Annotated[dict[str, Any], Body()],
    x_apify_webhook_dispatch_id: Annotated[
        str | None, Header(description="one dispatch, however often it comes")
    ] = None,
) -> Received:
    """For Apify alone: each run has a URL of its own. The body is a reason to ask Apify, and is not believed."""
    if not is_token(services.settings.apify, run_id, token):
        raise not_found("run")
    told = body.get("resource")
    external_id = _short(told.get("id")) if isinstance(told, dict) else None
    event = _short(body.get("eventType")) or "unknown"
    dispatch = _short(x_apify_webhook_dispatch_id) or _made_up(run_id, event, external_id)
    with services.sessions.begin() as session:
        if trend_run_store.note_dispatch(session, run_id, dispatch, event, external_id):
            job_enqueue.enqueue(session, TrendsCheck(run_id=run_id, external_id=external_id), subject_id=run_id)
    return Received()


def _short(value: object) -> str | None:
    """A text that fits where ids are kept; None for anything else."""
    fits = isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable()
    return str(value) if fits else None


def _made_up(run_id: uuid.UUID, event: str, external_id: str | None) -> str:
    """For a delivery that does not say which dispatch it is: the same news once."""
    return "made-up-" + hashlib.sha256(f"{run_id} {event} {external_id}".encode()).hexdigest()[:40]
