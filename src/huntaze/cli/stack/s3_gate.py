"""Run ministack behind a gate: `python -m huntaze.cli.stack.s3_gate`.

ministack does not check signatures in an `Authorization` header, nor in URLs of the older kinds: the key's public half
opens everything, and that half stands in every presigned URL. It lets anybody remove all objects by a POST to
`/_ministack/reset`, which any web page open in a browser on this machine could send. So the gate checks every signature
itself, and lets nothing unsigned through but the health check and the preflights of browsers.
"""

import hmac
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote

HEALTH = "/_ministack/health"
MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRES_S = 7 * 24 * 3600

_ALGORITHM = "AWS4-HMAC-SHA256"
_QUERY_FIELDS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_OLDER_KIND = {"awsaccesskeyid", "signature", "expires"}  # Signature Version 2, which S3 itself has given up

Scope = dict[str, Any]
Asgi = Callable[[Scope, Callable[..., Any], Callable[[dict[str, Any]], Awaitable[None]]], Coroutine[Any, Any, None]]


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
            await _discard_body(receive)
            body = f"<Error><Code>{refused}</Code><Message>Refused by the gate</Message></Error>".encode()
            headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return gate


async def _discard_body(receive: Callable[..., Any]) -> None:
    """Take the whole body first: a server closes a connection answered in the middle of one, under the next request."""
    while (await receive()).get("more_body"):
        pass


@dataclass(frozen=True)
class _Signed:
    """What a request says of its signature, in its header or in its query."""

    algorithm: str
    credential: str
    stamp: str
    names: list[str]
    signature: str
    query: list[tuple[str, str]]
    payload_hash: str


def refusal(scope: Scope, access_key: str, secret_key: str, now: datetime) -> str | None:
    """The S3 error code for a request that must not reach ministack; None for one that may."""
    method, path = scope["method"], scope["path"]
    if path.startswith(("/_ministack", "/_localstack")):
        return None if method == "GET" and path == HEALTH else "AccessDenied"
    headers = _joined(scope["headers"])
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(name.lower() in _OLDER_KIND for name, _ in query):
        return "AccessDenied"
    if "authorization" in headers:
        return _header_refusal(scope, headers, query, access_key, secret_key, now)
    if any(name.lower() == "x-amz-signature" for name, _ in query):
        return _query_refusal(scope, headers, query, access_key, secret_key, now)
    return None if method == "OPTIONS" else "AccessDenied"


def _header_refusal(
    scope: Scope, headers: dict[str, str], query: list[tuple[str, str]], access_key: str, secret_key: str, now: datetime
) -> str | None:
    """AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header"."""
    algorithm, _, rest = headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    signed = _Signed(
        algorithm,
        fields.get("Credential", ""),
        headers.get("x-amz-date", ""),
        fields.get("SignedHeaders", "").split(";"),
        fields.get("Signature", ""),
        query,
        # The body counts through its announced hash only, as ministack reads it.
        headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    )
    signed_at = _time(signed.stamp)
    if signed_at is None:
        return "AccessDenied"
    if abs(now - signed_at) > MAX_SKEW:
        return "RequestTimeTooSkewed"
    return _signature_refusal(scope, headers, signed, access_key, secret_key)


def _query_refusal(
    scope: Scope, headers: dict[str, str], query: list[tuple[str, str]], access_key: str, secret_key: str, now: datetime
) -> str | None:
    """AWS Signature Version 4, "Authenticating Requests: Using Query Parameters"."""
    found = []
    for field in _QUERY_FIELDS:
        # In any spelling, since ministack reads some: two values would be one for the gate and one for ministack.
        values = [(name, value) for name, value in query if name.lower() == f"x-amz-{field.lower()}"]
        if len(values) != 1 or values[0][0] != f"X-Amz-{field}":
            return "AuthorizationQueryParametersError"
        found.append(values[0][1])
    algorithm, credential, stamp, expires, names, signature = found
    signed_at = _time(stamp)
    if signed_at is None or not (expires.isascii() and expires.isdigit() and len(expires) <= len(str(MAX_EXPIRES_S))):
        return "AuthorizationQueryParametersError"
    lifetime = timedelta(seconds=min(int(expires), MAX_EXPIRES_S))
    if not signed_at - MAX_SKEW <= now <= signed_at + lifetime:
        return "AccessDenied"
    rest = [(name, value) for name, value in query if name != "X-Amz-Signature"]
    signed = _Signed(algorithm, credential, stamp, names.split(";"), signature, rest, "UNSIGNED-PAYLOAD")
    return _signature_refusal(scope, headers, signed, access_key, secret_key)


def _signature_refusal(
    scope: Scope, headers: dict[str, str], signed: _Signed, access_key: str, secret_key: str
) -> str | None:
    key, *scope_parts = signed.credential.split("/")
    if signed.algorithm != _ALGORITHM or key != access_key or len(scope_parts) != 4:
        return "InvalidAccessKeyId"
    # Who may write one object by a URL must not make a copy of another by a header of his own.
    if any(name.startswith("x-amz-") and name not in (*signed.names, "x-amz-content-sha256") for name in headers):
        return "AccessDenied"
    text = "\n".join((_ALGORITHM, signed.stamp, "/".join(scope_parts), _request_digest(scope, headers, signed)))
    signature = ("AWS4" + secret_key).encode()
    for part in (*scope_parts, text):
        signature = hmac.digest(signature, part.encode(), "sha256")
    # Bytes: of text, compare_digest takes ASCII only.
    matches = hmac.compare_digest(signature.hex().encode(), signed.signature.encode())
    return None if matches else "SignatureDoesNotMatch"


def _request_digest(scope: Scope, headers: dict[str, str], signed: _Signed) -> str:
    """The hash of the canonical request."""
    query = sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in signed.query)
    lines = [scope["method"], scope["raw_path"].decode("latin-1"), "&".join(query)]
    lines += [f"{name}:{headers.get(name, '')}" for name in signed.names]
    lines += ["", ";".join(signed.names), signed.payload_hash]
    return sha256("\n".join(lines).encode()).hexdigest()


def _time(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


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
