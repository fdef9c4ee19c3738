"""Events come in once, whole or not at all, however they are packed."""

import gzip
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from huntaze.api.edge import LARGER_BODIES
from huntaze.api.event_bodies import MOST_INFLATED
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.models.users import Scope, User
from huntaze.pipelines.analytics.facts import person_key
from tests.api.conftest import Connect

URL = "/v1/analytics/events"
NDJSON = {"Content-Type": "application/x-ndjson"}


def view(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"id": str(new_id()), "metric": "content.views", "label": "beach", "occurred_at": now} | changes


def stored(sessions: Sessions) -> list[Any]:
    with sessions() as session:
        return list(session.execute(text("SELECT * FROM analytics_facts ORDER BY occurred_at, event_id")))


def lines(events: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(event) for event in events).encode()


def problem(response: httpx.Response) -> tuple[int, str, str | None]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    return response.status_code, body["code"], body["errors"][0]["field"] if body["errors"] else None


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_events_in_every_form(api: httpx.Client, creator: User, sessions: Sessions, form: str, packed: bool) -> None:
    events = [view(person="fan-1"), view(metric="messages.response", label=None, value=4100)]
    body = json.dumps({"events": events}).encode() if form == "json" else lines(events) + b"\n\n"
    headers = {"Content-Type": "application/json"} if form == "json" else NDJSON
    if packed:
        body, headers = gzip.compress(body, mtime=0), headers | {"Content-Encoding": "gzip"}
    for answer in ({"accepted": 2, "repeated": 0, "replaced": 0}, {"accepted": 0, "repeated": 2, "replaced": 0}):
        response = api.post(URL, content=body, headers=headers)
        assert (response.status_code, response.json()) == (200, answer), response.text
    first, second = stored(sessions)
    assert (first.creator_id, first.metric, first.label, first.person) == (
        creator.id,
        "content.views",
        "beach",
        person_key("fan-1"),
    )
    assert (second.metric, second.label, second.value, second.person) == ("messages.response", "", 4100, None)


def test_five_thousand_at_once_and_not_one_more(api: httpx.Client, sessions: Sessions) -> None:
    events = [view(person=f"fan-{number % 50}") for number in range(5000)]
    response = api.post(URL, content=lines(events), headers=NDJSON)
    assert response.json() == {"accepted": 5000, "repeated": 0, "replaced": 0}
    events.append(view())
    assert problem(api.post(URL, content=lines(events), headers=NDJSON)) == (422, "request.invalid", "events")
    assert problem(api.post(URL, json={"events": events})) == (422, "request.invalid", "events")
    assert len(stored(sessions)) == 5000


def test_a_correction_has_a_higher_revision(api: httpx.Client, sessions: Sessions) -> None:
    first = view(metric="messages.response", label=None, value=4100)
    api.post(URL, json={"events": [first]})
    moved = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    corrected = first | {"value": 3, "revision": 1, "occurred_at": moved}
    for answer in ({"accepted": 0, "repeated": 0, "replaced": 1}, {"accepted": 0, "repeated": 1, "replaced": 0}):
        assert api.post(URL, json={"events": [corrected]}).json() == answer
    (fact,) = stored(sessions)
    assert fact.value == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metric": "content.view"}, "metric"),
        ({"metric": "ai.cost", "value": 1, "label": "x"}, "metric"),
        ({"metric": "transactions", "value": 1, "label": "EUR/x"}, "metric"),
        ({"label": None}, "label"),
        ({"label": "a\x00b"}, "label"),
        ({"value": 3}, "value"),
        ({"value": True}, "value"),
        ({"value": 10**13}, "value"),
        ({"metric": "messages.response", "label": None, "value": -1}, "value"),
        ({"metric": "messages.response", "label": None}, "value"),
        ({"person": ""}, "person"),
        ({"person": "x" * 129}, "person"),
        ({"revision": 32_767}, "revision"),
        ({"occurred_at": "2026-11-02T10:30:00"}, "occurred_at"),
        ({"occurred_at": (datetime.now(UTC) + timedelta(hours=2)).isoformat()}, "occurred_at"),
        ({"occurred_at": "2015-05-17T10:05:03Z"}, "occurred_at"),
        ({"id": "7"}, "id"),
        ({"fan": "x"}, "fan"),
    ],
)
def test_what_is_wrong_is_named_by_its_place_and_nothing_is_taken(
    api: httpx.Client, sessions: Sessions, changes: dict[str, Any], field: str
) -> None:
    events = [view(), view(**changes), view()]
    expected = (422, "request.invalid", f"events[1].{field}")
    assert problem(api.post(URL, json={"events": events})) == expected
    assert problem(api.post(URL, content=lines(events), headers=NDJSON)) == expected
    assert stored(sessions) == []


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {"Content-Type": "application/json"}, (400, "request.not_json", None)),
        (b"[1", {}, (400, "request.not_json", None)),
        (b"\xff", NDJSON, (400, "request.not_json", None)),
        (b"[" * 60_000, {}, (400, "request.not_json", None)),
        (b"{}", {}, (422, "request.invalid", "events")),
        (b"\n \n", NDJSON, (422, "request.invalid", "events")),
        (b'{"events": []}', {}, (422, "request.invalid", "events")),
        (b"{}", {"Content-Type": "text/plain"}, (422, "request.invalid", "Content-Type")),
        (b"{}", {"Content-Encoding": "br"}, (422, "request.invalid", "Content-Encoding")),
        (b"{}", {"Content-Encoding": "gzip"}, (400, "request.malformed", None)),
        (gzip.compress(b"{}", mtime=0)[:-3], {"Content-Encoding": "gzip"}, (400, "request.malformed", None)),
        (gzip.compress(b"{}", mtime=0) * 2, {"Content-Encoding": "gzip"}, (400, "request.malformed", None)),
        (
            gzip.compress(bytes(MOST_INFLATED + 1), mtime=0),
            {"Content-Encoding": "gzip"},
            (413, "request.too_large", None),
        ),
        (b" " * (LARGER_BODIES[URL] + 1), {}, (413, "request.too_large", None)),
    ],
)
def test_bodies_that_are_none(
    api: httpx.Client, body: bytes, headers: dict[str, str], expected: tuple[int, str, str | None]
) -> None:
    assert problem(api.post(URL, content=body, headers=headers)) == expected


def test_a_bomb_is_not_inflated(api: httpx.Client) -> None:
    bomb = gzip.compress(bytes(100_000_000), compresslevel=1)
    assert len(bomb) < LARGER_BODIES[URL]
    assert problem(api.post(URL, content=bomb, headers={"Content-Encoding": "gzip"}))[0] == 413


def test_an_id_is_ones_own(api: httpx.Client, other: httpx.Client, sessions: Sessions) -> None:
    event = view()
    api.post(URL, json={"events": [event]})
    answer = other.post(URL, json={"events": [event | {"revision": 5}]})
    assert answer.json() == {"accepted": 1, "repeated": 0, "replaced": 0}, "nobody learns of another's ids"
    assert len(stored(sessions)) == 2


def test_a_key_that_only_reads(connect: Connect, creator: User, make_key: Callable[..., str]) -> None:
    reader = connect(make_key(creator, Scope.READ))
    assert problem(reader.post(URL, json={"events": [view()]}))[:2] == (403, "auth.scope_missing")
    assert problem(reader.post("/v1/analytics/erasures", json={"person": "x"}))[:2] == (403, "auth.scope_missing")


def test_an_erasure_is_asked_for_once_and_seen_by_its_creator_alone(
    api: httpx.Client, other: httpx.Client, sessions: Sessions
) -> None:
    response = api.post("/v1/analytics/erasures", json={"person": "fan-1"})
    answer = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == answer["url"]
    shown = api.get(answer["url"]).json()
    assert (shown["facts"], shown["done_at"]) == (0, None)
    assert problem(other.get(answer["url"]))[:2] == (404, "erasure.not_found")
    assert api.get(f"/v1/jobs/{answer['job_id']}").json()["kind"] == "analytics.erase"
    with sessions() as session:
        everything = session.execute(text("SELECT jobs::text FROM jobs UNION SELECT e::text FROM analytics_erasures e"))
        assert not [row for row in everything.scalars() if "fan-1" in row], "the name is not kept"


def test_ids_are_uuids_of_any_kind(api: httpx.Client) -> None:
    assert api.post(URL, json={"events": [view(id=str(uuid.uuid4()))]}).json()["accepted"] == 1
