"""What happened, by the thousand; and one person's data, gone."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Response

from huntaze.api.auth import Reader, Writer
from huntaze.api.event_bodies import REQUEST_BODY, SentEvents, read_events
from huntaze.api.problems import FieldError, ProblemError, not_found, problems
from huntaze.api.schemas.analytics_events import (
    ErasureAccepted,
    ErasureRequest,
    ErasureView,
    EventBody,
    EventsTaken,
)
from huntaze.api.services import ServicesOf
from huntaze.models import analytics_erasure, analytics_facts, job_enqueue
from huntaze.models.job_args import AnalyticsErase
from huntaze.pipelines.analytics.facts import Fact, complaint, person_key
from huntaze.pipelines.analytics.metrics import METRICS, Door

router = APIRouter(prefix="/v1/analytics", tags=["analytics"])

AHEAD = timedelta(hours=1)  # that a caller's clock may be fast
_IN_DETAIL = 20  # problems that are named
_NO_ERASURE = ("erasure.not_found", "There is no erasure with this id.")


@router.post("/events", responses=problems(400, 413), summary="Tell what happened", openapi_extra=REQUEST_BODY)
def take_events(caller: Writer, sent: SentEvents, services: ServicesOf) -> EventsTaken:
    """Up to 5,000 events, as JSON or, one a line, as `application/x-ndjson`; `Content-Encoding: gzip` is welcome.

    All or nothing: if something is wrong with some, they are named (`events[17].metric`) and none is taken. An event
    counts once by its `id`, so a request may be repeated at any time. Late events are welcome as long as raw facts are
    kept: the figures of their day are counted anew."""
    events = read_events(sent)
    _refuse([_unsuited(place, event) for place, event in enumerate(events)])
    facts = [_fact(event) for event in events]
    times = [fact.occurred_at for fact in facts]
    with services.sessions.begin() as session:
        first, now = analytics_facts.bounds(session, services.settings.retention.facts_months)
        if min(times) < first or max(times) > now + AHEAD:
            _refuse([_untimely(place, at, first, now + AHEAD) for place, at in enumerate(times)])
        loaded = analytics_facts.load(session, caller.creator_id, facts)
    return EventsTaken(accepted=loaded.accepted, repeated=loaded.repeated, replaced=loaded.replaced)


def _fact(event: EventBody) -> Fact:
    counted = event.person is not None and METRICS[event.metric].persons
    return Fact(
        event_id=event.id,
        metric=event.metric,
        occurred_at=event.occurred_at.astimezone(UTC),
        value=event.value or 0,
        person=person_key(event.person or "") if counted else None,
        label=event.label or "",
        revision=event.revision,
    )


def _unsuited(place: int, event: EventBody) -> FieldError | None:
    wrong = complaint(event.metric, event.value, event.label, Door.OPEN)
    return None if wrong is None else FieldError(field=f"events[{place}].{wrong[0]}", message=wrong[1])


def _untimely(place: int, at: datetime, first: datetime, last: datetime) -> FieldError | None:
    if first <= at <= last:
        return None
    expected = f"Expected {first:%Y-%m-%dT%H:%MZ} to now: raw facts are kept no longer"
    return FieldError(field=f"events[{place}].occurred_at", message=expected)


def _refuse(found: Sequence[FieldError | None]) -> None:
    """Raises ProblemError if there is any, naming the first ones."""
    errors = [one for one in found if one is not None]
    if errors:
        told = "; ".join(f"{one.field}: {one.message}" for one in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        detail = f"Nothing was taken. {told}{more}."
        raise ProblemError(422, "request.invalid", detail, errors=errors[:_IN_DETAIL])


@router.post("/erasures", status_code=202, responses=problems(400, 413), summary="Erase a person")
def ask_erasure(body: ErasureRequest, services: ServicesOf, caller: Writer, response: Response) -> ErasureAccepted:
    """Deletes the person's events, and counts what was counted of them anew. A figure whose raw facts are gone keeps
    its number of events and loses the person among its persons. The receipt names nobody."""
    with services.sessions.begin() as session:
        erasure = analytics_erasure.ask(session, caller.creator_id, body.person)
        args = AnalyticsErase(erasure_id=erasure.id)
        job = job_enqueue.enqueue(session, args, creator_id=caller.creator_id, subject_id=erasure.id).job
    url = f"/v1/analytics/erasures/{erasure.id}"
    response.headers["Location"] = url
    return ErasureAccepted(id=erasure.id, job_id=job.id, url=url)


@router.get("/erasures/{erasure_id}", responses=problems(404, s404=_NO_ERASURE), summary="See the receipt")
def show_erasure(erasure_id: uuid.UUID, services: ServicesOf, caller: Reader) -> ErasureView:
    """The receipt, once `done_at` is there."""
    with services.statements() as session:
        erasure = analytics_erasure.find(session, erasure_id, caller.creator_id)
        if erasure is None:
            raise not_found("erasure")
        return ErasureView.model_validate(erasure)
