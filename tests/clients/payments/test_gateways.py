"""One behaviour for every gateway; and what is Stripe's alone, over HTTP."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import stripe

from huntaze.clients.payments import stripe_events, stripe_gateway
from huntaze.clients.payments.build import build_payments
from huntaze.clients.payments.embedded import EmbeddedGateway
from huntaze.clients.payments.gateway import PaymentGateway, PaymentMethod
from huntaze.clients.payments.stripe_amounts import minor_amount, stripe_amount
from huntaze.clients.payments.stripe_gateway import StripeGateway
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.payments.outcomes import (
    Declined,
    DisputeNotice,
    DisputeState,
    Movement,
    Notice,
    Outcome,
    RequiresAction,
    Succeeded,
    Unknown,
)
from huntaze.setting_groups import BillingSettings
from tests.clients.payments.stripe_double import KEY, StripeDouble, stripe_double

INVOICE = uuid.UUID("019a0000-0000-7000-8000-000000000001")
SECRET = "whsec_double"


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with stripe_double() as serving:
        yield serving


def connected(double: StripeDouble, key: str = KEY) -> StripeGateway:
    settings = BillingSettings(gateway="stripe", stripe_api_key=key, stripe_base_url=double.url, timeout_s=5)
    gateway = build_payments(settings)
    assert isinstance(gateway, StripeGateway)
    return gateway


@dataclass(frozen=True)
class Bench:
    """A gateway, its methods by what they do, and the money that moved."""

    gateway: PaymentGateway
    methods: dict[str, str]
    moved: Callable[[], list[int]]

    def charge(self, method: str, key: str, attempt: int = 1, amount: int = 1250) -> Outcome:
        token = PaymentMethod(self.methods[method], "cus_1")
        return self.gateway.charge(INVOICE, attempt, amount, "EUR", token, key)


@pytest.fixture(params=["embedded", "stripe"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "embedded":
        embedded = EmbeddedGateway()
        named = {
            "ok": "ok",
            "short": "decline",
            "lost": "decline_hard:lost_card",
            "bank": "action",
            "mute": "unknown;ok",
        }
        yield Bench(embedded, named, lambda: list(embedded.moved.values()))
        return
    with stripe_double() as serving:
        gateway = connected(serving)
        named = {
            "ok": "pm_card_visa",
            "short": "pm_card_visa_chargeDeclinedInsufficientFunds",
            "lost": "pm_card_visa_chargeDeclinedLostCard",
            "bank": "pm_card_authenticationRequired",
            "mute": "pm_double_hangs_up",
        }
        yield Bench(gateway, named, lambda: serving.moved)
        gateway.close()


def test_a_charge_moves_money_once_a_key(bench: Bench) -> None:
    first = bench.charge("ok", "k1")
    assert isinstance(first, Succeeded)
    assert bench.charge("ok", "k1") == first
    assert bench.moved() == [1250]
    bench.charge("ok", "k2", attempt=2)
    assert bench.moved() == [1250, 1250]


def test_a_decline_says_whether_to_ask_the_card_again(bench: Bench) -> None:
    short, lost = bench.charge("short", "k1"), bench.charge("lost", "k2")
    assert isinstance(short, Declined)
    assert isinstance(lost, Declined)
    assert (short.code, short.retryable) == ("insufficient_funds", True)
    assert (lost.code, lost.retryable) == ("lost_card", False)
    assert bench.moved() == []


def test_a_bank_that_wants_to_see_the_customer_is_no_decline(bench: Bench) -> None:
    assert isinstance(bench.charge("bank", "k1"), RequiresAction)
    assert bench.moved() == []


def test_no_answer_is_unknown_and_the_same_key_tells_what_it_was(bench: Bench) -> None:
    assert isinstance(bench.charge("mute", "k1"), Unknown)
    if isinstance(bench.gateway, StripeGateway):
        assert bench.moved() == [1250], "it had charged"
        assert isinstance(bench.charge("ok", "k2"), Succeeded)  # the connection is made anew
        return
    assert isinstance(bench.charge("mute", "k1"), Succeeded)
    assert bench.moved() == [1250]


def test_what_was_charged_is_given_back(bench: Bench) -> None:
    paid = bench.charge("ok", "k1")
    assert isinstance(paid, Succeeded)
    assert isinstance(bench.gateway.refund(paid.reference, 250, "EUR", "r1"), Succeeded)
    assert isinstance(bench.gateway.refund(paid.reference, 250, "EUR", "r1"), Succeeded)
    assert sum(bench.moved()) == 1000


def test_the_embedded_gateway_declines_as_often_as_the_token_says() -> None:
    gateway, token = EmbeddedGateway(), PaymentMethod("2*decline:expired_card;ok")
    outcomes = [gateway.charge(INVOICE, attempt, 1, "EUR", token, f"k{attempt}") for attempt in (1, 2, 3)]
    assert [type(one) for one in outcomes] == [Declined, Declined, Succeeded]


def test_what_goes_to_stripe(double: StripeDouble) -> None:
    gateway = connected(double)
    gateway.charge(INVOICE, 3, 1250, "EUR", PaymentMethod("pm_card_visa", "cus_1"), "k1")
    path, headers, form = double.requests[0]
    assert (path, headers["idempotency-key"], headers["stripe-version"]) == (
        *("/v1/payment_intents", "k1"),
        stripe_gateway.API_VERSION,
    )
    assert form["metadata[invoice_id]"] == str(INVOICE)
    assert form["metadata[attempt]"] == "3"
    assert (form["confirm"], form["off_session"], form["currency"], form["customer"]) == (
        "true",
        "true",
        "eur",
        "cus_1",
    )
    assert stripe.api_key is None, "the module's global is not touched"
    gateway.close()


def test_stripe_after_a_lost_answer(double: StripeDouble) -> None:
    gateway = connected(double)
    ask = lambda: gateway.charge(INVOICE, 1, 99, "EUR", PaymentMethod("pm_double_hangs_up"), "k1")  # noqa: E731
    assert isinstance(ask(), Unknown)
    assert isinstance(ask(), Succeeded), "the key remembers"
    assert double.moved == [99]
    gateway.close()


def test_no_redirect_is_followed_and_no_proxy_asked(double: StripeDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    gateway = connected(double)
    assert isinstance(gateway.charge(INVOICE, 1, 99, "EUR", PaymentMethod("pm_double_302"), "k1"), Unknown)
    assert [path for path, _, _ in double.requests] == ["/v1/payment_intents"]
    gateway.close()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("pm_double_500", Unknown("APIError, HTTP 500")),
        ("pm_missing", Declined("resource_missing", retryable=False)),
    ],
)
def test_stripe_says_no(double: StripeDouble, method: str, expected: Outcome) -> None:
    gateway = connected(double)
    assert gateway.charge(INVOICE, 1, 99, "EUR", PaymentMethod(method), "k1") == expected
    gateway.close()


def test_what_was_certainly_not_charged_is_an_error(double: StripeDouble) -> None:
    gateway, stranger = connected(double), connected(double, "sk_test_wrong")
    with pytest.raises(Transient, match=r"payments\.rate_limited"):
        gateway.charge(INVOICE, 1, 99, "EUR", PaymentMethod("pm_double_429"), "k1")
    with pytest.raises(Permanent, match=r"payments\.refused.*STRIPE_API_KEY") as caught:
        stranger.charge(INVOICE, 1, 99, "EUR", PaymentMethod("pm_card_visa"), "k2")
    assert "sk_test" not in str(caught.value)
    gateway.charge(INVOICE, 1, 99, "EUR", PaymentMethod("pm_card_visa"), "k3")
    with pytest.raises(Permanent, match=r"payments\.refused"):
        gateway.charge(INVOICE, 1, 100, "EUR", PaymentMethod("pm_card_visa"), "k3")
    gateway.close()
    stranger.close()


def test_stripe_counts_some_currencies_otherwise() -> None:
    assert stripe_amount(1250, "EUR") == 1250
    assert stripe_amount(500, "JPY") == 500
    assert stripe_amount(500, "ISK") == 50_000
    assert stripe_amount(1230, "KWD") == 1230
    for amount, currency in ((1234, "KWD"), (50, "MGA")):
        with pytest.raises(Permanent, match=r"payments\.amount"):
            stripe_amount(amount, currency)
    for amount, currency in ((-1250, "EUR"), (500, "JPY"), (500, "ISK"), (1230, "KWD")):
        assert minor_amount(stripe_amount(amount, currency), currency) == amount


def event(status: str, type: str = "payment_intent.succeeded", **intent: object) -> bytes:
    metadata = {"invoice_id": str(INVOICE), "attempt": "2"}
    body = {"id": "pi_1", "object": "payment_intent", "status": status, "metadata": metadata, **intent}
    return json.dumps({"id": "evt_1", "object": "event", "type": type, "data": {"object": body}}).encode()


def signed(body: bytes, secret: str = SECRET, at: int | None = None) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)


def test_a_webhook_is_believed_if_it_is_signed_and_fresh() -> None:
    body = event("succeeded")
    assert stripe_events.verify(body, signed(body), SECRET)["id"] == "evt_1"
    old = int(time.time()) - stripe_events.TOLERANCE_S - 5
    for wrong in (signed(body, "whsec_other"), signed(body, SECRET, old), signed(b"{}"), "", "t=x,v1=y", "v1=abc"):
        with pytest.raises(Permanent, match=r"webhook\.bad_signature"):
            stripe_events.verify(body, wrong, SECRET)
    with pytest.raises(Permanent, match=r"webhook\.bad_signature"):
        stripe_events.verify(body.replace(b"succeeded", b"processing"), signed(body), SECRET)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no", b'{"id": 1, "type": "x"}', b'{"id": "\\u0000", "type": "x"}'])
def test_what_is_signed_and_no_event_is_malformed(body: bytes) -> None:
    with pytest.raises(Permanent, match=r"webhook\.malformed"):
        stripe_events.verify(body, signed(body), SECRET)


def test_what_webhooks_say() -> None:
    def read(status: str, type: str, **intent: object) -> Notice | DisputeNotice | None:
        return stripe_events.notice_of(json.loads(event(status, type, **intent)))

    paid = read("succeeded", "payment_intent.succeeded")
    assert paid == Notice(INVOICE, 2, Succeeded("pi_1"))
    error = {"code": "card_declined", "decline_code": "insufficient_funds"}
    failed = read("requires_payment_method", "payment_intent.payment_failed", last_payment_error=error)
    assert failed == Notice(INVOICE, 2, Declined("insufficient_funds", True, "pi_1"))
    assert read("requires_action", "payment_intent.requires_action") == Notice(INVOICE, 2, RequiresAction("pi_1"))
    assert read("succeeded", "customer.updated") is None
    assert read("succeeded", "payment_intent.succeeded", metadata={"of": "somebody else"}) is None
    assert stripe_events.notice_of({"type": "payment_intent.succeeded", "data": None}) is None


def disputed(status: str, *moved: dict[str, object], **dispute: object) -> dict[str, object]:
    """As docs.stripe.com/api/disputes/object shows it."""
    body = {"id": "du_1", "object": "dispute", "amount": 2000, "currency": "eur", "charge": "ch_1", "reason": "general"}
    body |= {"payment_intent": "pi_1", "status": status, "balance_transactions": list(moved), **dispute}
    return {"id": "evt_9", "type": "charge.dispute.updated", "created": 1_760_000_000, "data": {"object": body}}


def test_what_disputes_say() -> None:
    taken: dict[str, object] = {"id": "txn_1", "amount": -2000, "fee": 1500, "net": -3500, "currency": "eur"}
    told = stripe_events.notice_of(disputed("needs_response", taken))
    assert isinstance(told, DisputeNotice)
    assert (told.reference, told.external_id, told.state, told.amount_minor) == (
        "pi_1",
        "du_1",
        DisputeState.OPEN,
        2000,
    )
    assert told.movements == (Movement("txn_1:funds", -2000, "EUR"), Movement("txn_1:fee", -1500, "EUR"))
    back = taken | {"id": "txn_2", "amount": 2000, "fee": 0}
    won = stripe_events.notice_of(disputed("won", taken, back, payment_intent={"id": "pi_1"}))
    assert isinstance(won, DisputeNotice)
    assert (won.state, won.reference, sum(one.amount_minor for one in won.movements)) == (
        DisputeState.WON,
        "pi_1",
        -1500,
    )
    assert stripe_events.notice_of(disputed("lost", payment_intent=None)) is None


def test_a_dispute_that_is_settled_in_another_currency_took_what_was_paid() -> None:
    taken: dict[str, object] = {"id": "txn_1", "amount": -2345, "fee": 1500, "currency": "usd"}
    told = stripe_events.notice_of(disputed("needs_response", taken))
    assert isinstance(told, DisputeNotice)
    assert told.movements == (Movement("txn_1:funds", -2000, "EUR"), Movement("txn_1:fee", -1500, "USD"))


@pytest.mark.parametrize("broken", [{"data": {}}, {"created": None}, {"data": {"object": {"payment_intent": "pi_1"}}}])
def test_a_dispute_that_cannot_be_read_is_no_silence(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        stripe_events.notice_of(disputed("lost") | broken)
