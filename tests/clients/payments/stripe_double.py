"""A local Stripe for tests: PaymentIntents and refunds over HTTP, after the shapes of docs.stripe.com/api.

Payment methods are those of docs.stripe.com/testing, and some for what a network does: `pm_double_hangs_up` moves the
money and closes the connection at the first call of a key; `pm_double_500`, `_429` and `_302` answer so.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

KEY = "sk_test_double"
DECLINES = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_visa_chargeDeclinedLostCard": "lost_card",
}


class StripeDouble:
    """What it was asked, and what it answered to each idempotency key."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []  # path, headers, form
        self.answers: dict[str, tuple[str, int, dict[str, Any]]] = {}
        self.moved: list[int] = []

    def answer(self, path: str, headers: dict[str, str], form: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        """None: hangs up."""
        self.requests.append((path, headers, form))
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_***"}}
        key, fingerprint = headers["idempotency-key"], json.dumps([path, form], sort_keys=True)
        if key in self.answers:
            first, status, body = self.answers[key]
            if first != fingerprint:
                message = "Keys for idempotent requests can only be used with the same parameters"
                return 400, {"error": {"type": "idempotency_error", "message": message}}
            return status, body
        method = form.get("payment_method", "")
        if method == "pm_double_429":
            return 429, {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Slow down"}}
        status, body = self._refund(form) if path == "/v1/refunds" else self._intent(form)
        self.answers[key] = (fingerprint, status, body)
        if method == "pm_double_hangs_up":
            return None
        return status, body

    def _refund(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.moved.append(-int(form["amount"]))
        refund = {"id": f"re_{len(self.answers)}", "object": "refund", "amount": int(form["amount"])}
        return 200, refund | {"payment_intent": form["payment_intent"], "status": "succeeded"}

    def _intent(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        method = form["payment_method"]
        intent = {
            "id": f"pi_{len(self.answers)}",
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "currency": form["currency"],
            "status": "succeeded",
            "last_payment_error": None,
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
        }
        if method == "pm_double_500":
            return 500, {"error": {"type": "api_error", "message": "Something went wrong"}}
        if method == "pm_missing":
            error = {"type": "invalid_request_error", "code": "resource_missing", "param": "payment_method"}
            return 400, {"error": error | {"message": "No such PaymentMethod: 'pm_missing'"}}
        code = "authentication_required" if method == "pm_card_authenticationRequired" else DECLINES.get(method)
        if code is not None:
            error = {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": code,
                "message": "Your card was declined.",
            }
            if code == "authentication_required":
                error["code"] = code
            intent["status"] = "requires_payment_method"
            return 402, {"error": error | {"payment_intent": {**intent, "last_payment_error": dict(error)}}}
        self.moved.append(int(form["amount"]))
        return 200, intent


@contextmanager
def stripe_double() -> Iterator[StripeDouble]:
    """Serves on a free port."""
    double = StripeDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            if form.get("payment_method") == "pm_double_302":
                double.requests.append((self.path, headers, form))
                self.send_response(302)
                self.send_header("Location", f"{double.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = double.answer(self.path, headers, form)
            if answer is None:
                self.close_connection = True
                return
            payload = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
