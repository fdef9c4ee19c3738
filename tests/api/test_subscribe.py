"""POST /v1/subscriptions: once a plan, for oneself, with a card of one's own and no word on taxes."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from huntaze.models import billing_orders, billing_reads, billing_store
from huntaze.models.base import new_id
from huntaze.models.billing_plans import Coupon, TaxRate
from huntaze.models.billing_store import Wanted
from huntaze.models.billing_subscriptions import Subscription
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent
from tests.models.billing_kit import make_plan, run


@pytest.fixture(autouse=True)
def sold(sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_plan(session, trial_days=14)
        make_plan(session, 100, code="dollar", currency="USD")
        session.add(Coupon(id=new_id(), code="HALF", percent=Decimal(50), periods=2))
        session.add(Coupon(id=new_id(), code="FIVE", amount_minor=500, currency="EUR"))


def ask(api: httpx.Client, status: int = 201, **body: Any) -> dict[str, Any]:
    response = api.post("/v1/subscriptions", json={"plan": "pro", **body})
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def rows(sessions: Sessions) -> list[Subscription]:
    with sessions() as session:
        return list(session.scalars(select(Subscription).order_by(Subscription.id)))


def test_a_subscription_is_made_once(api: httpx.Client, sessions: Sessions, creator: User) -> None:
    made = ask(api, quantity=3, coupon="HALF", time_zone="Europe/Paris")
    assert ask(api, 200, quantity=3, coupon="HALF", time_zone="Europe/Paris") == made
    assert (made["plan"], made["quantity"], made["status"]) == ("pro", 3, "active")
    assert made["next_billing_at"] == made["trial_end"]
    (row,) = rows(sessions)
    assert (row.creator_id, row.coupon_left, row.customer, row.tax_rate_id) == (creator.id, 2, None, None)
    refused = ask(api, 409, quantity=4, coupon="HALF", time_zone="Europe/Paris")
    assert refused["code"] == "subscription.exists"


def test_of_many_at_once_one_is_made(api: httpx.Client, sessions: Sessions) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/subscriptions", json={"plan": "pro"}), range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["id"] for one in answers}) == len(rows(sessions)) == 1


def test_others_are_not_concerned(api: httpx.Client, other: httpx.Client, sessions: Sessions) -> None:
    mine, theirs = ask(api), ask(other)
    assert mine["id"] != theirs["id"]
    assert other.get(f"/v1/subscriptions/{mine['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"plan": "nobody"}, 404, "plan.not_found", "plan"),
        ({"coupon": "NONE"}, 404, "coupon.not_found", "coupon"),
        ({"plan": "dollar", "coupon": "FIVE"}, 422, "coupon.other_currency", "coupon"),
        ({"time_zone": "Mars/Olympus"}, 422, "billing.unknown_zone", "time_zone"),
        ({"time_zone": "../../etc/passwd"}, 422, "billing.unknown_zone", "time_zone"),
        ({"quantity": 0}, 422, "request.invalid", "quantity"),
        ({"customer": "cus_of_another"}, 422, "request.invalid", "customer"),
        ({"payment_method": {"token": "pm_1"}}, 422, "request.invalid", "payment_method.customer"),
        (
            {"payment_method": {"customer": "cus_1", "token": "4242 4242"}},
            422,
            "request.invalid",
            "payment_method.token",
        ),
        ({"tax_rate": "none"}, 422, "request.invalid", "tax_rate"),
        ({"trial_days": 700}, 422, "request.invalid", "trial_days"),
        ({"creator_id": str(uuid.uuid4())}, 422, "request.invalid", "creator_id"),
    ],
)
def test_a_refusal_names_the_field(
    api: httpx.Client, sessions: Sessions, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    refused = ask(api, status, **body)
    assert (refused["code"], refused["errors"][0]["field"]) == (code, field)
    assert rows(sessions) == []


def test_trial_and_coupon_are_had_once(api: httpx.Client) -> None:
    first = ask(api, coupon="HALF")
    assert api.post(f"/v1/subscriptions/{first['id']}/cancel", json={"now": True}).json()["status"] == "cancelled"
    assert ask(api, 422, coupon="HALF")["code"] == "coupon.used"
    again = ask(api)
    assert (again["trial_end"], again["next_billing_at"]) == (None, again["started_at"])


def test_tax_and_payment_are_as_before(api: httpx.Client, sessions: Sessions, creator: User) -> None:
    with sessions.begin() as session:
        rate = TaxRate(id=new_id(), name="VAT", percent=Decimal(20))
        session.add(rate)
        plan = make_plan(session, code="team")
        told = {"tax_rate_id": rate.id, "customer": "cus_1", "method": "pm_1"}
        billing_store.subscribe(session, Wanted(creator.id, plan.id, **told), billing_reads.db_now(session))
    ask(api)
    _, made = rows(sessions)
    assert {name: getattr(made, name) for name in told} == told


CARD = {"customer": "cus_1", "token": "pm_1"}


def test_a_card_is_named_with_its_customer(api: httpx.Client, sessions: Sessions) -> None:
    made = ask(api, payment_method=CARD)
    assert ask(api, 200, payment_method=CARD) == ask(api, 200) == made
    assert ask(api, 409, payment_method={**CARD, "token": "pm_2"})["code"] == "subscription.exists"
    ask(api, plan="dollar")
    assert {(row.customer, row.method) for row in rows(sessions)} == {("cus_1", "pm_1")}


def test_nobody_names_the_customer_of_another(api: httpx.Client, other: httpx.Client, sessions: Sessions) -> None:
    ask(api, payment_method=CARD)
    refused = ask(other, 422, payment_method={**CARD, "token": "pm_of_mine"})
    assert (refused["code"], refused["errors"][0]["field"]) == ("payment.other_customer", "payment_method.customer")
    assert len(rows(sessions)) == 1
    ask(other, payment_method={"customer": "cus_2", "token": "pm_2"})


def test_of_two_who_name_a_customer_at_once_one_has_them(
    api: httpx.Client, other: httpx.Client, sessions: Sessions
) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda who: who.post("/v1/subscriptions", json={"plan": "pro", "payment_method": CARD}), (api, other)
            )
        )
    assert sorted(one.status_code for one in answers) == [201, 422]
    assert len(rows(sessions)) == 1


def test_another_card_is_asked_at_once(api: httpx.Client, other: httpx.Client, sessions: Sessions) -> None:
    made = ask(api, plan="dollar")
    ask(other, payment_method={"customer": "cus_2", "token": "pm_2"})
    with sessions() as session:
        now = billing_reads.db_now(session)
    run(sessions, now)
    url = f"/v1/subscriptions/{made['id']}/payment-method"
    assert other.post(url, json=CARD).status_code == 404
    refused = api.post(url, json={**CARD, "customer": "cus_2"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "customer")
    due = text("SELECT count(*) FROM receivables WHERE next_attempt_at <= clock_timestamp()")
    with sessions() as session:
        assert session.execute(due).scalar_one() == 0
    assert api.post(url, json=CARD).json()["id"] == made["id"]
    with sessions() as session:
        assert session.execute(due).scalar_one() == 1
        assert (session.get_one(Subscription, uuid.UUID(made["id"])).method) == "pm_1"


def test_the_first_subscription_has_the_usual_tax(sessions: Sessions, creator: User) -> None:
    order = billing_orders.Order("pro", first_tax_rate="VAT FR")
    with pytest.raises(Permanent, match=r"subscription\.no_tax_rate"), sessions.begin() as session:
        billing_orders.place(session, creator.id, order, billing_reads.db_now(session))
    with sessions.begin() as session:
        rate = TaxRate(id=new_id(), name="VAT FR", percent=Decimal(20))
        session.add(rate)
        session.flush()
        made, _ = billing_orders.place(session, creator.id, order, billing_reads.db_now(session))
        assert made.tax_rate_id == rate.id


def test_who_owes_has_nothing_more(api: httpx.Client, sessions: Sessions) -> None:
    ask(api, plan="dollar")
    with sessions() as session:
        now = billing_reads.db_now(session)
    run(sessions, now)
    with sessions.begin() as session:
        session.execute(text("UPDATE receivables SET state = 'uncollected', next_attempt_at = NULL"))
    assert ask(api, 409)["code"] == "subscription.owes"
