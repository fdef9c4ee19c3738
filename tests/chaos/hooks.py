"""Webhooks under the trial: endpoints of two creators and of a partner, and the receiver of all three."""

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import webhook_store
from huntaze.models.database import Sessions
from huntaze.pipelines.webhooks.patterns import wants
from huntaze.pipelines.webhooks.signing import BadSignature, Keyring, verify
from tests.chaos.checks import Violation
from tests.chaos.outside import Reply, Request

PATH = "/hooks/"
_KEY = "the-key-of-a-trial-that-is-of-no-use-to-anybody"


def environment() -> dict[str, str]:
    """Of the fleet: where the receiver is, no webhook of the world goes."""
    return {"HUNTAZE_WEBHOOKS_KEY": _KEY, "HUNTAZE_WEBHOOKS_INSECURE": "true"}


@dataclass(frozen=True)
class Endpoint:
    """`creator_id` None: a partner's, told of all."""

    id: uuid.UUID
    creator_id: uuid.UUID | None
    types: tuple[str, ...]
    secret: str


@dataclass(frozen=True)
class Arrival:
    """A request in full, in the order in which they came. `accepted`: it was answered with 200."""

    endpoint: uuid.UUID
    event: uuid.UUID
    digest: str
    signed: bool
    accepted: bool


@dataclass(frozen=True)
class Told:
    """An event that an endpoint has to be told of."""

    id: uuid.UUID
    subject: uuid.UUID
    position: int


@dataclass
class Hooks:
    """A few messages are refused, or taken without an answer, when they come first: they have to come again."""

    sessions: Sessions
    url: str  # where the receiver is
    endpoints: dict[str, Endpoint] = field(default_factory=dict)  # by path
    arrivals: list[Arrival] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def prepare(self, creators: Sequence[uuid.UUID]) -> None:
        """Before anything is told."""
        wanted: tuple[tuple[uuid.UUID | None, tuple[str, ...]], ...] = (
            (creators[0], ("job.*",)),
            (creators[1], ("job.failed", "job.cancelled")),
            (None, ("invoice.*", "payment.*", "subscription.*")),
        )
        with self.sessions.begin() as session:
            for number, (creator, types) in enumerate(wanted):
                path, partner = f"{PATH}{number}", None if creator else "a partner"
                given: dict[str, Any] = {"creator_id": creator, "partner": partner}
                row, secret = webhook_store.create(session, Keyring(_KEY.encode()), self.url + path, types, **given)
                self.endpoints[path] = Endpoint(row.id, creator, types, secret)

    async def reply(self, request: Request) -> Reply | None:
        """The receiver."""
        endpoint, event = self.endpoints[request.path], request.headers["webhook-id"]
        try:
            verify([endpoint.secret], request.headers, request.body, time.time())
            signed = True
        except BadSignature:
            signed = False
        draw = hashlib.sha256((endpoint.secret + event).encode()).digest()[0] if self._is_first(endpoint, event) else 99
        digest = hashlib.sha256(request.body).hexdigest()
        self.arrivals.append(Arrival(endpoint.id, uuid.UUID(event), digest, signed, accepted=draw >= 10))
        if draw < 5:
            return None
        return Reply(500 if draw < 10 else 200)

    def _is_first(self, endpoint: Endpoint, event: str) -> bool:
        first = (endpoint.secret, event) not in self._seen
        self._seen.add((endpoint.secret, event))
        return first

    def check(self, session: Session, redone: Collection[uuid.UUID]) -> tuple[dict[str, int], list[Violation]]:
        """`redone`: events whose delivery was given up, and sent again by hand: those are out of order by nature."""
        events = session.execute(_EVENTS).all()
        states = {(row.endpoint_id, row.event_id): row.state for row in session.execute(_DELIVERIES)}
        figures = {"deliveries": 0, "deliveries_lost": 0, "out_of_order": 0, "sent_again": 0}
        found: list[Violation] = []
        for endpoint in self.endpoints.values():
            told = [
                Told(event.id, event.subject_id, event.position)
                for event in events
                if endpoint.creator_id in (None, event.creator_id) and wants(endpoint.types, event.type)
            ]
            came = [one for one in self.arrivals if one.endpoint == endpoint.id]
            found += _rows(endpoint, told, states)
            lost, disordered = list(missing(told, came)), list(out_of_order(told, came, redone))
            found += [*lost, *disordered, *_odd(told, came)]
            figures["deliveries"] += len(told)
            figures["deliveries_lost"] += len(lost)
            figures["out_of_order"] += len(disordered)
            figures["sent_again"] += len(came) - len({one.event for one in came})
        return figures, found


def missing(told: Sequence[Told], came: Sequence[Arrival]) -> Iterator[Violation]:
    """What was never accepted with the right signature."""
    accepted = {one.event for one in came if one.accepted and one.signed}
    for event in told:
        if event.id not in accepted:
            yield Violation("lost", None, f"event {event.id} at position {event.position} was not delivered")


def out_of_order(
    told: Sequence[Told], came: Sequence[Arrival], redone: Collection[uuid.UUID] = ()
) -> Iterator[Violation]:
    """A subject's event that came before the one ahead of it had been accepted. What was accepted may come again."""
    first: dict[uuid.UUID, int] = {}
    accepted: dict[uuid.UUID, int] = {}
    for at, one in enumerate(came):
        first.setdefault(one.event, at)
        if one.accepted:
            accepted.setdefault(one.event, at)
    lanes: dict[uuid.UUID, list[Told]] = defaultdict(list)
    for event in sorted((event for event in told if event.id not in redone), key=lambda event: event.position):
        lanes[event.subject].append(event)
    for subject, lane in lanes.items():
        for ahead, event in pairwise(lane):
            if ahead.id in accepted and event.id in first and first[event.id] < accepted[ahead.id]:
                what = f"out of order: event {event.id} of {subject} came before {ahead.id} was accepted"
                yield Violation("wrong", None, what)


def _odd(told: Sequence[Told], came: Sequence[Arrival]) -> Iterator[Violation]:
    wanted = {event.id for event in told}
    digests: dict[uuid.UUID, str] = {}
    for one in came:
        if one.event not in wanted:
            yield Violation("wrong", None, f"nobody wanted to be told of event {one.event}")
        if not one.signed:
            yield Violation("wrong", None, f"event {one.event} was not signed as it has to be")
        if digests.setdefault(one.event, one.digest) != one.digest:
            yield Violation("wrong", None, f"event {one.event} came in two versions")


def _rows(
    endpoint: Endpoint, told: Sequence[Told], states: dict[tuple[uuid.UUID, uuid.UUID], str]
) -> Iterator[Violation]:
    for event in told:
        state = states.get((endpoint.id, event.id))
        if state != "delivered":
            sort = "stuck" if state in ("sending", "waiting") else "lost"
            yield Violation(sort, None, f"the delivery of event {event.id} is {state}")  # type: ignore[arg-type]


_EVENTS = text("SELECT id, type, creator_id, subject_id, position FROM events ORDER BY position")
_DELIVERIES = text("SELECT endpoint_id, event_id, state FROM webhook_deliveries")
