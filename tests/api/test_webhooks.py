"""/v1/webhooks: endpoints, secrets, the log; and what streams say of events that are gone."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from huntaze.models import event_retention, event_store, webhook_deliveries, webhook_log, webhook_store
from huntaze.models.database import Sessions
from huntaze.models.events import Event
from huntaze.models.jobs import Job
from huntaze.models.users import Scope, User
from huntaze.models.webhook_deliveries import Attempt
from huntaze.models.webhooks import DeliveryState, WebhookEndpoint, WebhookSecret
from huntaze.pipelines.webhooks.signing import key_of
from huntaze.settings import Settings
from tests.api.conftest import Connect
from tests.api.listening import following, placed
from tests.api.test_events_ws import received, socket

URL = "https://hooks.example.com/in"
WANTED = {"url": URL, "types": ["video.*"], "description": "our shop"}


def made(api: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = api.post("/v1/webhooks", json=WANTED | fields)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def test_an_endpoint_with_its_secret_shown_once(api: httpx.Client, sessions: Sessions, settings: Settings) -> None:
    created = made(api)
    secret = created.pop("secret")
    assert len(key_of(secret)) == 32
    assert api.get(f"/v1/webhooks/{created['id']}").json() == created
    assert api.get("/v1/webhooks").json() == {"webhooks": [created], "next_cursor": None}
    assert created["enabled"] is True
    with sessions() as session:
        keys = settings.webhooks.keys
        assert keys is not None
        assert webhook_store.secrets_of(session, keys, uuid.UUID(created["id"])) == [secret]
        [row] = session.scalars(select(WebhookSecret))
    stored = f"{row.salt.hex()} {row.key_id}"
    assert key_of(secret).hex() not in stored


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://2130706433/"}, "url"),
        ({"url": "https://hooks.example.com:22/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "x" * 3000}, "url"),
        ({"types": []}, "types"),
        ({"types": ["Video"]}, "types[0]"),
        ({"types": ["video.*", "*.failed"]}, "types[1]"),
        ({"types": ["a.b"] * 51}, "types"),
        ({"description": "a\u0000b"}, "description"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_what_is_refused_names_the_field(api: httpx.Client, fields: dict[str, Any], field: str) -> None:
    response = api.post("/v1/webhooks", json=WANTED | fields)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (422, [field])
    assert api.get("/v1/webhooks").json()["webhooks"] == []


def test_changed_disabled_enabled_deleted(api: httpx.Client, sessions: Sessions) -> None:
    url = f"/v1/webhooks/{made(api)['id']}"
    changed = api.patch(url, json={"types": ["*"], "description": None, "enabled": False}).json()
    assert (changed["types"], changed["description"], changed["url"]) == (["*"], None, URL)
    assert (changed["enabled"], changed["disabled_reason"]) == (False, "asked")
    assert api.post(f"{url}/test").json()["code"] == "webhook.disabled"
    with sessions.begin() as session:
        session.execute(text("UPDATE webhook_endpoints SET disabled_reason = 'failing', failing_since = now()"))
    again = api.patch(url, json={"enabled": True}).json()
    assert (again["enabled"], again["failing_since"]) == (True, None)
    for bad in ({"url": None}, {"enabled": None}, {"url": "https://10.0.0.1/"}, {"id": 1}):
        assert api.patch(url, json=bad).status_code == 422, bad
    assert api.delete(url).json()["types"] == ["*"]
    assert api.get(url).json()["code"] == "webhook.not_found"
    assert api.delete(url).status_code == 404


def test_twenty_and_no_more(api: httpx.Client) -> None:
    for _ in range(20):
        made(api)
    refused = api.post("/v1/webhooks", json=WANTED)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.too_many")
    page = api.get("/v1/webhooks", params={"limit": 15}).json()
    rest = api.get("/v1/webhooks", params={"limit": 15, "cursor": page["next_cursor"]}).json()
    assert (len(page["webhooks"]), len(rest["webhooks"]), rest["next_cursor"]) == (15, 5, None)


def test_rotation(api: httpx.Client, sessions: Sessions) -> None:
    created = made(api)
    rotated = api.post(f"/v1/webhooks/{created['id']}/rotate", json={"overlap_s": 60}).json()
    assert rotated["secret"] != created["secret"]
    with sessions() as session:
        assert len(session.scalars(select(WebhookSecret)).all()) == 2
    assert api.post(f"/v1/webhooks/{created['id']}/rotate", json={"overlap_s": 10**9}).status_code == 422


def delivered(sessions: Sessions, creator: User, endpoint: uuid.UUID, state: DeliveryState) -> uuid.UUID:
    """An event whose delivery has ended so, after one attempt."""
    with sessions.begin() as session:
        event_store.emit(session, creator.id, "video.analyzed", uuid.uuid4(), {})
        webhook_deliveries.place(session)
        event = session.scalars(select(Event).order_by(Event.position.desc()).limit(1)).one()
        code = "webhook.failed" if state == DeliveryState.FAILED else None
        webhook_deliveries.end(session, (endpoint, event.id), state, Attempt(0.1, 500 if code else 200, None), code)
        session.execute(text("UPDATE jobs SET state = 'succeeded', finished_at = now(), lease_until = NULL"))
    return event.id


def test_the_log_and_a_resend(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    id = made(api)["id"]
    good = delivered(sessions, creator, uuid.UUID(id), DeliveryState.DELIVERED)
    bad = delivered(sessions, creator, uuid.UUID(id), DeliveryState.FAILED)
    log = f"/v1/webhooks/{id}/deliveries"
    page = api.get(log, params={"limit": 1}).json()
    assert [one["event_id"] for one in page["deliveries"]] == [str(bad)]
    rest = api.get(log, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert ([one["event_id"] for one in rest["deliveries"]], rest["next_cursor"]) == ([str(good)], None)
    assert [one["event_id"] for one in api.get(log, params={"state": "failed"}).json()["deliveries"]] == [str(bad)]
    detail = api.get(f"{log}/{bad}").json()
    assert (detail["error_code"], detail["type"], detail["log"][0]["status"]) == (
        "webhook.failed",
        "video.analyzed",
        500,
    )
    again = api.post(f"{log}/{bad}/resend")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "sending", 0)
    assert len(again.json()["log"]) == 1
    twice = api.post(f"{log}/{bad}/resend")
    assert (twice.status_code, twice.json()["code"]) == (409, "webhook.under_way")
    assert api.post(f"{log}/{uuid.uuid4()}/resend").json()["code"] == "delivery.not_found"


def test_a_test_and_a_replay_are_work_for_the_fleet(api: httpx.Client, sessions: Sessions) -> None:
    url = f"/v1/webhooks/{made(api)['id']}"
    event_id = api.post(f"{url}/test").json()["event_id"]
    asked = {"since": "2026-11-02T10:00:00Z", "until": "2026-11-02T12:00:00+01:00"}
    job_id = api.post(f"{url}/replay", json=asked).json()["job_id"]
    with sessions() as session:
        assert session.get_one(Event, uuid.UUID(event_id)).type == "webhook.test"
        assert session.get_one(Job, uuid.UUID(job_id)).kind == "webhooks.replay"
    assert api.get(f"/v1/jobs/{job_id}").json()["kind"] == "webhooks.replay"
    for bad in ({"since": asked["until"], "until": asked["since"]}, {"since": "2026-11-02T10:00:00"}):
        assert api.post(f"{url}/replay", json=asked | bad).status_code == 422


def test_another_creator_sees_nothing(
    api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions
) -> None:
    id = made(api)["id"]
    event_id = delivered(sessions, creator, uuid.UUID(id), DeliveryState.DELIVERED)
    asked = {"since": "2026-11-02T10:00:00Z", "until": "2026-11-02T12:00:00Z"}
    attempts: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate", {}),
        ("POST", "/test", None),
        ("POST", "/replay", asked),
        ("GET", "/deliveries", None),
        ("GET", f"/deliveries/{event_id}", None),
        ("POST", f"/deliveries/{event_id}/resend", None),
    ]
    for method, path, body in attempts:
        response = other.request(method, f"/v1/webhooks/{id}{path}", json=body)
        assert (response.status_code, response.json()["code"]) == (404, "webhook.not_found"), (method, path)
    assert other.get("/v1/webhooks").json()["webhooks"] == []
    assert api.get(f"/v1/webhooks/{id}").json()["enabled"] is True


def test_a_readers_key_changes_nothing(connect: Connect, creator: User, make_key: Callable[..., str]) -> None:
    reader = connect(make_key(creator, Scope.READ))
    assert reader.post("/v1/webhooks", json=WANTED).json()["code"] == "auth.scope_missing"
    assert reader.get("/v1/webhooks").status_code == 200


@pytest.fixture
def _nothing_is_gone_afterwards(sessions: Sessions) -> Iterator[None]:
    yield
    with sessions.begin() as session:
        session.execute(text("UPDATE event_position SET pruned = 0"))


def aged(sessions: Sessions, days: int) -> None:
    with sessions.begin() as session:
        session.execute(
            text("UPDATE events SET created_at = created_at - make_interval(days => :days)"), {"days": days}
        )


def pruned(sessions: Sessions) -> int:
    """Deletes what is older than a week; returns how many."""
    with sessions.begin() as session:
        week_ago = session.execute(text("SELECT clock_timestamp() - interval '7 days'")).scalar_one()
        deleted, after = event_retention.prune(session, week_ago, 0)
    assert after is None
    return deleted


@pytest.mark.usefixtures("_nothing_is_gone_afterwards")
def test_a_stream_that_resumes_before_what_is_kept_says_so(
    api: httpx.Client, base_url: str, creator: User, make_key: Callable[..., str], sessions: Sessions
) -> None:
    placed(sessions, creator.id, 1, 2)
    with sessions() as session:
        last = event_store.last_position(session)
    aged(sessions, 8)
    assert pruned(sessions) == 2
    placed(sessions, creator.id, 3)
    with following(api, after=last - 1) as stream:
        gap = stream.block().event
        assert (gap["type"], gap["data"]) == ("stream.gap", {"after": last - 1, "gone_upto": last})
        assert stream.numbers(1) == [3]
    with following(api, after=last) as whole:
        assert whole.numbers(1) == [3], "nothing is missing behind what it has seen"
    with socket(base_url, make_key(creator), f"?after={last - 1}") as connection:
        assert [received(connection)["type"] for _ in range(3)] == ["stream.opened", "stream.gap", "test.counted"]


@pytest.mark.usefixtures("_nothing_is_gone_afterwards")
def test_an_event_that_an_endpoint_is_still_to_be_told_of_is_kept(
    api: httpx.Client, creator: User, sessions: Sessions
) -> None:
    id = uuid.UUID(made(api)["id"])
    ended = delivered(sessions, creator, id, DeliveryState.DELIVERED)
    with sessions.begin() as session:
        event_store.emit(session, creator.id, "video.analyzed", uuid.uuid4(), {})
        webhook_deliveries.place(session)
    aged(sessions, 8)
    assert pruned(sessions) == 1
    assert api.get(f"/v1/webhooks/{id}/deliveries/{ended}").json()["code"] == "delivery.not_found"
    [left] = api.get(f"/v1/webhooks/{id}/deliveries").json()["deliveries"]
    assert left["state"] == "sending"
    aged(sessions, -8)
    with sessions() as session:
        [row] = webhook_log.search(session, id)
        assert json.dumps(row[0].attempts) == "0"
        assert session.get_one(WebhookEndpoint, id).url == URL
