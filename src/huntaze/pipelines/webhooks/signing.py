"""Signatures by Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, the bytes as they are sent."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with, so that scanners find a leaked one
TOLERANCE_S = 300  # how far a receiver lets the timestamp be from its own clock
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class BadSignature(Exception):
    """The message is not from who has the secret, not whole, or not of now."""


def key_of(secret: str) -> bytes:
    """The bytes of a secret: base64 behind `whsec_`, with its padding or without. Raises ValueError."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is base64 behind whsec_") from None
    if not key:
        raise ValueError("a webhook secret is not empty")
    return key


def derive_secret(master: bytes, salt: bytes, endpoint: bytes) -> str:
    """An endpoint's secret: HKDF-SHA256 (RFC 5869) of the fleet's key, 32 bytes. Who has the database alone has the
    salt, and no secret."""
    extracted = hmac.digest(salt, master, "sha256")
    key = hmac.digest(extracted, b"huntaze webhook secret 1 " + endpoint + b"\x01", "sha256")
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_id(master: bytes) -> str:
    """Names a fleet's key without telling it: 16 hex digits."""
    return hashlib.sha256(b"huntaze webhook key " + master).hexdigest()[:16]


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. With several secrets (a rotation) there is a signature of each, in their order:
    a receiver accepts any."""
    signatures = " ".join(f"v1,{_sign(key_of(secret), message_id, timestamp, body)}" for secret in secrets)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: signatures}


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> None:
    """What a receiver does. `headers`: by lower-case name; `now`: its clock, Unix seconds. Raises BadSignature,
    ValueError for a secret that is none."""
    keys = [key_of(secret) for secret in secrets]
    try:
        message_id, stamp, given = headers[ID], headers[TIMESTAMP], headers[SIGNATURE]
        timestamp = int(stamp)
    except (KeyError, ValueError):
        raise BadSignature("a header is missing or cannot be read") from None
    if abs(now - timestamp) > TOLERANCE_S:
        raise BadSignature("the timestamp is too old, or of the future")
    wanted = [_sign(key, message_id, timestamp, body).encode() for key in keys]
    signatures = [one.removeprefix("v1,").encode() for one in given.split(" ") if one.startswith("v1,")]
    if not any(hmac.compare_digest(one, other) for one in signatures for other in wanted):
        raise BadSignature("no signature is ours")


def _sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    if "." in message_id:
        raise ValueError("a message's id holds no dot: it would move the borders of what is signed")
    return base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")).decode()


@dataclass(frozen=True)
class Keyring:
    """The fleet's keys: new secrets come of `current`, older ones may still be of `previous`."""

    current: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)

    def by_id(self, id: str) -> bytes | None:
        """The key of this name; None: it is not ours any more."""
        return next((key for key in (self.current, self.previous) if key is not None and key_id(key) == id), None)
