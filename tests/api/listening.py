"""Writing events and reading them off a stream."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import text

from huntaze.models import event_store
from huntaze.models.database import Sessions


def emitted(sessions: Sessions, creator_id: uuid.UUID, *numbers: int) -> None:
    """Events that are written, but have no position yet."""
    for number in numbers:
        with sessions.begin() as session:
            event_store.emit(session, creator_id, "test.counted", uuid.uuid4(), {"n": number})


def placed(sessions: Sessions, creator_id: uuid.UUID, *numbers: int) -> None:
    """Events on the stream."""
    emitted(sessions, creator_id, *numbers)
    with sessions.begin() as session:
        event_store.place(session)


def placed_silently(sessions: Sessions) -> None:
    """Gives positions without a notification: what a lost one looks like."""
    with sessions.begin() as session:
        start = session.execute(text("SELECT position FROM event_position FOR UPDATE")).scalar_one()
        statement = text(
            "WITH placed AS (UPDATE events SET position = :start + 1 WHERE position IS NULL RETURNING position)"
            " UPDATE event_position SET position = :start + (SELECT count(*) FROM placed)"
        )
        session.execute(statement, {"start": start})


@dataclass(frozen=True)
class Sse:
    """One block of a stream: the comment or the fields."""

    fields: dict[str, str]
    comment: str | None = None

    @property
    def event(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.fields["data"])
        assert (self.fields["id"], self.fields["event"]) == (str(body["position"]), body["type"])
        return body


class SseStream:
    """The blocks of a response, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.opening = self.block()
        self.last_id = self.opening.fields["id"]

    def block(self) -> Sse:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                next(self._lines)
                return Sse({}, line)
            if not line:
                return Sse(fields)
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError

    def numbers(self, count: int) -> list[int]:
        """What the next so many events counted; comments are passed over."""
        found: list[int] = []
        late = time.monotonic() + 10
        while len(found) < count:
            block = self.block()
            assert time.monotonic() < late, f"only {found} came"
            if block.comment is None:
                self.last_id = block.fields["id"]
                found.append(block.event["data"]["n"])
        return found


@contextmanager
def following(client: httpx.Client, headers: dict[str, str] | None = None, **params: Any) -> Iterator[SseStream]:
    """An open stream. It cannot hang a test: reading ends after ten seconds."""
    with client.stream("GET", "/v1/events", params=params, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield SseStream(response)


@contextmanager
def in_background(work: Any) -> Iterator[None]:
    """Runs `work()` meanwhile, and waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        assert not thread.is_alive()
