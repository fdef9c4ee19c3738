"""Endpoints, a fleet that tells them, and what they got: for tests of webhooks through the real ledger."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select, text, update

from huntaze.clients.webhooks.build import Webhooks
from huntaze.clients.webhooks.outbound import Answer, ScriptedOutbound
from huntaze.models import (
    event_store,
    job_dispatch,
    webhook_deliveries,
    webhook_store,
)
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.models.webhooks import WebhookDelivery, WebhookEndpoint
from huntaze.pipelines.webhooks.signing import Keyring
from huntaze.pipelines.webhooks.targets import Target, TargetPolicy
from huntaze.worker.base import run_job
from huntaze.worker.runtime import Runtime
from tests.worker.conftest import KNOWN, NODE

KEYS = Keyring(b"the key of these tests, of 32 bytes or more")
OK = Answer(200, 0.01)


@dataclass
class Bench:
    """The fleet of one test: what its endpoints answer, by host and event type, and what they got."""

    runtime: Runtime
    sessions: Sessions
    creator: User
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # host, body
    headers: list[Mapping[str, str]] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None  # what happens while a request is under way

    def __post_init__(self) -> None:
        webhooks = Webhooks(ScriptedOutbound(self._answer), TargetPolicy(), KEYS)
        self.runtime = replace(self.runtime, clients=replace(self.runtime.clients, webhooks=webhooks))

    def _answer(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        content = json.loads(body)
        self.sent.append((target.host, content))
        self.headers.append(headers)
        self.meanwhile()
        return self.answers.get((target.host, content["type"]), self.answers.get((target.host, "*"), OK))

    def endpoint(self, host: str = "a.example", *types: str, **options: Any) -> uuid.UUID:
        options = {"creator_id": self.creator.id} | options
        with self.sessions.begin() as session:
            made, _ = webhook_store.create(session, KEYS, f"https://{host}/in", types or ["*"], **options)
        return made.id

    def emit(self, type: str, subject: uuid.UUID | None = None, creator: User | None = None) -> uuid.UUID:
        with self.sessions.begin() as session:
            owner = creator or self.creator
            event_store.emit(session, owner.id, type, subject or new_id(), {"said": type})
            event = session.scalars(select(Event).order_by(Event.created_at.desc()).limit(1)).one()
        return event.id

    def place(self) -> int:
        with self.sessions.begin() as session:
            return webhook_deliveries.place(session)

    def work(self, most: int = 50, *, forward: bool = False) -> None:
        """Places events and runs what is due until nothing is; `forward`: what is due later, too."""
        while self.place():
            pass
        for _ in range(most):
            if forward:
                self.skip_time()
            with self.sessions.begin() as session:
                job_dispatch.promote(session)
                hints = job_dispatch.take_due(session, "default", 100, KNOWN, Turns()).hints
            for hint in hints:
                run_job(self.runtime, NODE, hint.kind, hint.job_id)
            if not hints:
                return

    def skip_time(self) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Job).where(Job.state == JobState.WAITING).values(run_at=text("clock_timestamp()")))
            session.execute(text("UPDATE webhook_endpoints SET throttled_until = NULL"))
            session.execute(text("UPDATE webhook_deliveries SET next_attempt_at = NULL"))

    def states(self) -> list[tuple[str, str, int]]:
        """(event type, state, attempts), in the order of the stream."""
        with self.sessions() as session:
            query = select(Event.type, WebhookDelivery.state, WebhookDelivery.attempts)
            query = query.join(Event, Event.id == WebhookDelivery.event_id).order_by(WebhookDelivery.position)
            return [(row[0], row[1], row[2]) for row in session.execute(query)]

    def get(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        with self.sessions() as session:
            return session.get_one(WebhookEndpoint, endpoint_id)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(host, body["type"]) for host, body in self.sent]


def nothing_is_left_running(sessions: Sessions) -> None:
    """Whoever is being sent has a job."""
    stranded = text("""
        SELECT count(*) FROM webhook_deliveries d WHERE state = 'sending' AND NOT EXISTS (
            SELECT FROM jobs WHERE kind = 'webhooks.deliver' AND jobs.state IN ('waiting', 'queued', 'running')
            AND args ->> 'event_id' = d.event_id::text AND args ->> 'endpoint_id' = d.endpoint_id::text)
    """)
    with sessions() as session:
        assert session.execute(stranded).scalar_one() == 0
