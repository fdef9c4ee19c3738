"""/v1/offers: what a creator does, what a fan gets, and what neither can."""

import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from huntaze.models.database import Sessions
from huntaze.models.users import User

WANTED = {"name": "Summer", "code": "Summer26", "percent_off_bp": 2500}
FAN = {"fan_id": "f1", "price_minor": 999, "currency": "EUR", "reference": "order 1"}


def made(api: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = api.post("/v1/offers", json=WANTED | fields)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def done(api: httpx.Client, offer: dict[str, Any], action: str) -> str:
    response = api.post(f"/v1/offers/{offer['id']}/{action}")
    assert response.status_code == 200, response.text
    return str(response.json()["state"])


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_the_life_of_an_offer(api: httpx.Client) -> None:
    offer = made(api, quota=1, ends_at="2100-01-01T00:00:00Z")
    assert (offer["state"], offer["code"], offer["time_zone"]) == ("draft", "SUMMER26", "UTC")
    assert code_of(api.post("/v1/offers/redeem", json=FAN | {"code": "summer26"})) == (409, "offer.not_active")
    assert done(api, offer, "schedule") == "active"
    assert done(api, offer, "pause") == "paused"
    assert code_of(api.post("/v1/offers/redeem", json=FAN | {"code": "summer26"})) == (409, "offer.not_active")
    assert done(api, offer, "resume") == "active"
    first = api.post("/v1/offers/redeem", json=FAN | {"code": "summer26"})
    assert (first.status_code, first.json()["pays_minor"]) == (201, 749)
    again = api.post("/v1/offers/redeem", json=FAN | {"offer_id": offer["id"]})
    assert (again.status_code, again.json()) == (200, first.json())
    other = FAN | {"code": "SUMMER26", "reference": "order 2", "fan_id": "f2"}
    assert code_of(api.post("/v1/offers/redeem", json=other)) == (409, "offer.exhausted")
    changed = api.patch(f"/v1/offers/{offer['id']}", json={"quota": 5}).json()
    assert (changed["state"], changed["redeemed"]) == ("active", 1)
    assert [one["id"] for one in api.get("/v1/offers", params={"state": "active"}).json()["offers"]] == [offer["id"]]
    assert done(api, offer, "cancel") == done(api, offer, "cancel") == "cancelled"
    assert code_of(api.post(f"/v1/offers/{offer['id']}/schedule")) == (409, "offer.not_allowed")
    assert api.get("/v1/offers", params={"state": "active"}).json()["offers"] == []


def test_times_of_the_creators_zone(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(text("UPDATE users SET time_zone = 'Europe/Paris'"))
    offer = made(api, starts_at="2100-07-01T00:00:00", ends_at="2100-08-01T00:00:00")
    assert (offer["starts_at"], offer["time_zone"]) == ("2100-06-30T22:00:00Z", "Europe/Paris")
    assert done(api, offer, "schedule") == "scheduled"
    moved = api.patch(f"/v1/offers/{offer['id']}", json={"ends_at": "2100-12-01T00:00:00"}).json()
    assert moved["ends_at"] == "2100-11-30T23:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"ends_at": "2026-07-01T00:00:00Z", "starts_at": "2026-07-01T00:00:00Z"},
        {"ends_at": "2026-07-01T00:00:00Z", "starts_at": "2026-07-02T00:00:00Z"},
        {"price_minor": 100, "currency": "EUR"},
        {"percent_off_bp": None},
        {"percent_off_bp": None, "price_minor": 100},
        {"currency": "EUR"},
        {"percent_off_bp": 10_001},
        {"percent_off_bp": 0},
        {"quota": 0},
        {"quota": 2**31},
        {"per_fan": 0},
        {"code": "a b"},
        {"audience": ["New Fans"]},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"starts_at": "0001-01-01T00:00:00+14:00"},
        {"ends_at": "9999-12-31T23:59:59-12:00"},
        {"state": "active"},
        {"name": ""},
    ],
)
def test_what_is_refused(api: httpx.Client, fields: dict[str, Any]) -> None:
    response = api.post("/v1/offers", json=WANTED | fields)
    assert response.status_code == 422, response.text
    assert api.get("/v1/offers").json()["offers"] == []


def test_a_taken_code_and_an_end_in_the_past(api: httpx.Client) -> None:
    offer = made(api, ends_at="2020-01-01T00:00:00Z")
    assert code_of(api.post("/v1/offers", json=WANTED)) == (409, "offer.code_taken")
    assert code_of(api.post(f"/v1/offers/{offer['id']}/schedule")) == (422, "offer.times")
    started = made(api, code="OTHER")
    assert done(api, started, "schedule") == "active"
    url = f"/v1/offers/{started['id']}"
    assert code_of(api.patch(url, json={"percent_off_bp": 5000})) == (409, "offer.not_allowed")
    assert code_of(api.patch(url, json={"ends_at": "2020-01-01T00:00:00Z"})) == (422, "offer.times")
    assert api.patch(url, json={"name": None}).status_code == 422
    terms = api.patch(f"/v1/offers/{offer['id']}", json={"price_minor": 500, "currency": "EUR"}).json()
    assert (terms["price_minor"], terms["percent_off_bp"]) == (500, None)


def test_a_page_at_a_time(api: httpx.Client) -> None:
    ids = [made(api, code=None)["id"] for _ in range(3)]
    page = api.get("/v1/offers", params={"limit": 2}).json()
    rest = api.get("/v1/offers", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in page["offers"] + rest["offers"]] == ids[::-1]
    assert rest["next_cursor"] is None


def test_another_creator_sees_and_redeems_nothing(api: httpx.Client, other: httpx.Client) -> None:
    offer = made(api)
    done(api, offer, "schedule")
    attempts: list[tuple[str, str, Any]] = [
        ("GET", f"/{offer['id']}", None),
        ("PATCH", f"/{offer['id']}", {"name": "mine"}),
        *[("POST", f"/{offer['id']}/{action}", None) for action in ("schedule", "pause", "resume", "cancel")],
        ("POST", "/redeem", FAN | {"offer_id": offer["id"]}),
        ("POST", "/redeem", FAN | {"code": "SUMMER26"}),
        ("POST", "/redeem", FAN | {"offer_id": str(uuid.uuid4())}),
    ]
    for method, path, body in attempts:
        assert code_of(other.request(method, f"/v1/offers{path}", json=body)) == (404, "offer.not_found"), path
    assert other.get("/v1/offers").json()["offers"] == []
    assert other.post("/v1/offers", json=WANTED).status_code == 201, "codes are each creator's own"
    assert api.get(f"/v1/offers/{offer['id']}").json()["state"] == "active"
