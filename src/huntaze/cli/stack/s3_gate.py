"""Run ministack behind a gate: `python -m huntaze.cli.stack.s3_gate`.

With AUTH=true ministack checks the signatures of presigned URLs. It does not check those in an `Authorization` header:
the key's public half opens everything, and that half stands in every presigned URL. It lets anybody remove all objects
by a POST to `/_ministack/reset`, which any web page open in a browser on this machine could send. So the gate checks
header signatures itself, and lets nothing unsigned through but the health check and the preflights of browsers.
"""

import hmac
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote

HEALTH = "/_ministack/health"
MAX_SKEW = timedelta(minutes=15)

Scope = dict[str, Any]
Asgi = Callable[[Scope, Callable[..., Any], Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]


def gated(app: Asgi, access_key: str, secret_key: str) -> Asgi:
    """The ASGI application, with 403 for what is neither signed nor harmless."""

    async def gate(scope: Scope, receive: Callable[..., Any], send: Callable[..., Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] == "http":
            refused = refusal(scope, access_key, secret_key, datetime.now(UTC))
            if refused is None:
                await app(scope, receive, send)
                return
            body = f"<Error><Code>{refused}</Code><Message>Refused by the gate</Message></Error>".encode()
            headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return gate


def refusal(scope: Scope, access_key: str, secret_key: str, now: datetime) -> str | None:
    """The S3 error code for a request that must not reach ministack; None for one that may."""
    method, path = scope["method"], scope["path"]
    if path.startswith(("/_ministack", "/_localstack")):
        return None if method == "GET" and path == HEALTH else "AccessDenied"
    headers = _joined(scope["headers"])
    if "authorization" in headers:
        return _header_refusal(scope, headers, access_key, secret_key, now)
    presigned = b"X-Amz-Signature" in parse_qs(scope["query_string"])
    return None if presigned or method == "OPTIONS" else "AccessDenied"


def _header_refusal(
    scope: Scope, headers: dict[str, str], access_key: str, secret_key: str, now: datetime
) -> str | None:
    """AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header"."""
    algorithm, _, rest = headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    key, *scope_parts = fields.get("Credential", "").split("/")
    if algorithm != "AWS4-HMAC-SHA256" or key != access_key or len(scope_parts) != 4:
        return "InvalidAccessKeyId"
    stamp = headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "AccessDenied"
    if abs(now - signed_at) > MAX_SKEW:
        return "RequestTimeTooSkewed"
    text = "\n".join((algorithm, stamp, "/".join(scope_parts), _request_digest(scope, headers, fields)))
    signature = ("AWS4" + secret_key).encode()
    for part in (*scope_parts, text):
        signature = hmac.digest(signature, part.encode(), "sha256")
    matches = hmac.compare_digest(signature.hex(), fields.get("Signature", ""))
    return None if matches else "SignatureDoesNotMatch"


def _request_digest(scope: Scope, headers: dict[str, str], fields: dict[str, str]) -> str:
    """The hash of the canonical request. The body counts through its announced hash only, as ministack reads it."""
    names = fields.get("SignedHeaders", "").split(";")
    pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    query = "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs))
    lines = [scope["method"], scope["raw_path"].decode(), query]
    lines += [f"{name}:{headers.get(name, '')}" for name in names]
    lines += ["", ";".join(names), headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]
    return sha256("\n".join(lines).encode()).hexdigest()


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), " ".join(raw_value.decode("latin-1").split())
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


if __name__ == "__main__":
    from ministack import app as ministack

    ministack.app = gated(ministack.app, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    ministack.main()
