"""Invoices in three shapes, changes that cost what their preview said, and nobody else's."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from huntaze.api.routes.billing_invoices import HTML, JSON, PDF, preferred
from huntaze.models import billing_reads, billing_store, billing_usage
from huntaze.models.base import new_id
from huntaze.models.billing_plans import TaxRate
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.billing_usage import Metered
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.models.billing_kit import make_plan, run, subscribe

Json = dict[str, Any]


@pytest.fixture
def began(sessions: Sessions) -> datetime:
    """Forty days ago, by the database's clock: of a monthly subscription the second period runs."""
    with sessions() as session:
        return billing_reads.db_now(session) - timedelta(days=40)


@pytest.fixture
def subscription(sessions: Sessions, creator: User, began: datetime) -> Subscription:
    """20.00 a month and 25 cents a video, with 20 % tax; two invoices, ten videos on the second."""
    with sessions.begin() as session:
        rate = TaxRate(id=new_id(), name="VAT", percent=Decimal(20))
        session.add(rate)
        plan = make_plan(session)
        make_plan(session, 5000, code="team")
        make_plan(session, 9000, code="old", retired_at=began)
    made = subscribe(sessions, creator, began, plan_id=plan.id, tax_rate_id=rate.id, time_zone="Europe/Paris")
    run(sessions, began)
    with sessions.begin() as session:
        billing_usage.record(session, [Metered(made.id, "videos", Decimal(10), began + timedelta(days=1), "ten")])
    run(sessions, began + timedelta(days=40))
    return made


def listed(api: httpx.Client, **params: Any) -> Json:
    response = api.get("/v1/invoices", params=params)
    assert response.status_code == 200, response.text
    page: Json = response.json()
    return page


def test_invoices_are_listed_newest_first_by_pages(api: httpx.Client, subscription: Subscription) -> None:
    page = listed(api, limit=1)
    rest = listed(api, limit=1, cursor=page["next_cursor"])
    found = [*page["invoices"], *rest["invoices"]]
    assert [one["number"] for one in found] == ["INV-000002", "INV-000001"]
    assert [one["total_minor"] for one in found] == [(2000 + 250) * 120 // 100, 2400]
    assert rest["next_cursor"] is None


def test_an_invoice_as_json_adds_up(api: httpx.Client, subscription: Subscription) -> None:
    shown = api.get(f"/v1/invoices/{listed(api)['invoices'][0]['id']}").json()
    assert shown["total_minor"] == sum(line["total_minor"] for line in shown["lines"])
    told = [(line["description"], line["quantity"]) for line in shown["lines"]]
    assert told == [("Pro", "1"), ("Videos", "10")]
    assert shown["lines"][1]["unit_amount_minor"] == "25"
    assert shown["lines"][0]["taxes"] == [{"name": "VAT", "percent": "20", "inclusive": False, "amount_minor": 400}]
    assert (shown["status"], shown["open_minor"]) == ("open", 2700)


def test_an_invoice_as_html_and_pdf(api: httpx.Client, subscription: Subscription) -> None:
    url = f"/v1/invoices/{listed(api)['invoices'][0]['id']}"
    page = api.get(url, headers={"Accept": HTML})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert all(word in page.text for word in ("INV-000002", "27.00 EUR", "VAT 20 %", "ada", "Videos"))
    pdf = api.get(url, headers={"Accept": PDF})
    assert pdf.headers["content-type"] == PDF
    assert pdf.headers["content-disposition"] == 'inline; filename="INV-000002.pdf"'
    assert pdf.content.startswith(b"%PDF-")
    assert {page.headers["vary"], pdf.headers["vary"]} == {"Accept"}


@pytest.mark.parametrize(
    ("accept", "shape"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/pdf", PDF),
        ("application/pdf;q=0.5, text/html;q=0.9", HTML),
        ("application/pdf;q=0", JSON),
        ("application/pdf;q=nan, text/html;q=inf", JSON),
        ("application/json, application/pdf", JSON),
        (";;,,;q=", JSON),
    ],
)
def test_the_shape_is_what_the_client_likes_best(accept: str, shape: str) -> None:
    assert preferred(accept) == shape


def test_transactions_sum_to_nought_by_pages(api: httpx.Client, subscription: Subscription) -> None:
    entries: list[Json] = []
    cursor: int | None = None
    while True:
        page = api.get("/v1/transactions", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        entries += page["entries"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sum(entry["amount_minor"] for entry in entries) == 0
    assert {entry["account"] for entry in entries} == {"receivable", "revenue", "tax"}
    assert [entry["id"] for entry in entries] == sorted((entry["id"] for entry in entries), reverse=True)


def post(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/subscriptions/{path}", json=body)


def test_a_change_costs_what_its_preview_said(api: httpx.Client, subscription: Subscription) -> None:
    before = listed(api)["invoices"]
    seen = post(api, f"{subscription.id}/preview", plan="team")
    assert seen.status_code == 200, seen.text
    assert listed(api)["invoices"] == before, "and nothing was changed"
    assert api.get(f"/v1/subscriptions/{subscription.id}").json()["plan"] == "pro"
    changed = post(api, f"{subscription.id}/change", plan="team")
    assert (changed.status_code, changed.json()["plan"]) == (200, "team")
    billed = listed(api)["invoices"][0]
    assert billed["number"] == "INV-000003"
    assert billed["total_minor"] == pytest.approx(seen.json()["total_minor"], abs=2), "but for the seconds between"
    lines = api.get(f"/v1/invoices/{billed['id']}").json()["lines"]
    assert [line["amount_minor"] > 0 for line in lines] == [True, False], "the rest of the new, the rest of the old"


def test_the_same_change_again_changes_nothing(api: httpx.Client, subscription: Subscription) -> None:
    for _ in range(2):
        assert post(api, f"{subscription.id}/change", plan="team", quantity=2).status_code == 200
    assert len(listed(api)["invoices"]) == 3
    for _ in range(2):
        assert post(api, f"{subscription.id}/change", quantity=5, now=False).json()["quantity"] == 5
    assert len(listed(api)["invoices"]) == 3, "from the next period on"


def test_a_scheduled_change_can_still_be_had_now(api: httpx.Client, subscription: Subscription) -> None:
    assert post(api, f"{subscription.id}/change", plan="team", now=False).json()["plan"] == "team"
    assert len(listed(api)["invoices"]) == 2
    assert post(api, f"{subscription.id}/change", plan="team").status_code == 200
    assert len(listed(api)["invoices"]) == 3


def settle_all(sessions: Sessions) -> None:
    """As if all invoices were paid."""
    with sessions.begin() as session:
        paid = "UPDATE receivables SET open_minor = 0, state = 'paid', next_attempt_at = NULL, settled_at = now()"
        session.execute(text(f"{paid} WHERE open_minor > 0"))


def test_what_is_not_paid_is_not_given_back(
    api: httpx.Client, sessions: Sessions, creator: User, subscription: Subscription
) -> None:
    assert post(api, f"{subscription.id}/change", plan="team").status_code == 200, "an upgrade asks for more"
    before = listed(api)["invoices"]
    for path, body in (("change", {"plan": "pro"}), ("preview", {"plan": "pro"}), ("pause", {})):
        refused = post(api, f"{subscription.id}/{path}", **body)
        assert (refused.status_code, refused.json()["code"]) == (409, "subscription.unpaid"), path
    assert listed(api)["invoices"] == before
    assert post(api, f"{subscription.id}/change", plan="pro", now=False).status_code == 200, "from the next period on"
    settle_all(sessions)
    assert post(api, f"{subscription.id}/change", plan="pro").status_code == 200
    assert listed(api)["invoices"][0]["total_minor"] < 0


def test_pause_resume_and_cancel(api: httpx.Client, sessions: Sessions, subscription: Subscription) -> None:
    settle_all(sessions)
    assert post(api, f"{subscription.id}/pause").json()["status"] == "paused"
    refused = post(api, f"{subscription.id}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "subscription.not_active")
    assert post(api, f"{subscription.id}/resume").json()["status"] == "active"
    ends = post(api, f"{subscription.id}/cancel").json()
    assert (ends["status"], ends["cancel_at"]) == ("active", ends["next_billing_at"])
    assert post(api, f"{subscription.id}/cancel", now=True).json()["status"] == "cancelled"
    assert post(api, f"{subscription.id}/cancel", now=True).json()["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 422, "request.invalid", "plan"),
        ({"plan": "nobody"}, 404, "plan.not_found", "plan"),
        ({"plan": "old"}, 404, "plan.not_found", "plan"),
        ({"plan": "a b"}, 422, "request.invalid", "plan"),
        ({"quantity": -1}, 422, "request.invalid", "quantity"),
        ({"quantity": 10**9}, 422, "request.invalid", "quantity"),
        ({"plan": "team", "price": 1}, 422, "request.invalid", "price"),
    ],
)
def test_a_change_that_cannot_be_names_the_field(
    api: httpx.Client, subscription: Subscription, body: Json, status: int, code: str, field: str
) -> None:
    for door in ("change", "preview"):
        refused = post(api, f"{subscription.id}/{door}", **body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert refused.json()["errors"][0]["field"] == field


def test_a_subscription_that_is_held_says_so(
    api: httpx.Client, sessions: Sessions, creator: User, began: datetime
) -> None:
    held = subscribe(sessions, creator, began - timedelta(days=400))
    run(sessions, began)
    assert api.get(f"/v1/subscriptions/{held.id}").json()["held"]["code"] == "billing.too_many_periods"
    refused = post(api, f"{held.id}/change", quantity=2)
    assert (refused.status_code, refused.json()["code"]) == (409, "subscription.held")


def test_nobody_elses_is_seen_or_changed(
    api: httpx.Client, other: httpx.Client, sessions: Sessions, subscription: Subscription
) -> None:
    invoice = listed(api)["invoices"][0]["id"]
    paths = [f"/v1/invoices/{invoice}", f"/v1/subscriptions/{subscription.id}"]
    unknown = [path.rsplit("/", 1)[0] + f"/{uuid.uuid4()}" for path in paths]
    for path, like in zip(paths, unknown, strict=True):
        assert other.get(path).status_code == 404
        assert other.get(path).json() == other.get(like).json()
    assert other.get(paths[0], headers={"Accept": PDF}).status_code == 404
    for door in ("preview", "change", "pause", "resume", "cancel"):
        refused = post(
            other, f"{subscription.id}/{door}", **({} if door in ("pause", "resume", "cancel") else {"quantity": 9})
        )
        assert (refused.status_code, refused.json()["code"]) == (404, "subscription.not_found"), door
    assert listed(other)["invoices"] == other.get("/v1/transactions").json()["entries"] == []
    assert other.get("/v1/subscriptions").json()["subscriptions"] == []
    with sessions() as session:
        row = billing_store.lock(session, subscription.id)
        assert (row.status, row.quantity, row.cancel_at) == ("active", 1, None)


def test_subscriptions_are_listed(api: httpx.Client, subscription: Subscription) -> None:
    (shown,) = api.get("/v1/subscriptions").json()["subscriptions"]
    assert (shown["id"], shown["plan"], shown["status"], shown["held"]) == (str(subscription.id), "pro", "active", None)
