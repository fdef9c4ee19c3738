"""Authors without names: a keyed hash tells two of them apart, and tells nobody who they are."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

KEY_BYTES = 16  # of the HMAC that are kept: chance collisions begin at 2^64 authors
_LEAST_SECRET = 16  # bytes
_NOBODY = frozenset({"", "[deleted]", "[removed]", "deleted", "none", "null", "unknown"})


class BadKeys(ValueError):
    """The text holds no usable keys; the message says what is wrong and quotes nothing of it."""


@dataclass(frozen=True)
class AuthorKeys:
    """Secrets by version. The newest makes keys; older ones only find what they made, until they are taken away."""

    secrets: Mapping[int, bytes] = field(repr=False)

    @cached_property
    def version(self) -> int:
        """The newest."""
        return max(self.secrets)

    def key(self, platform: str, handle: object) -> bytes | None:
        """The author's key by the newest secret; None for a row that names nobody."""
        name = _canonical(handle)
        return None if name is None else _mac(self.secrets[self.version], platform, name)

    def all_keys(self, platform: str, handle: str) -> list[bytes]:
        """The author's keys by every secret: what a deletion looks for."""
        name = _canonical(handle)
        return [] if name is None else [_mac(secret, platform, name) for secret in self.secrets.values()]


def _canonical(handle: object) -> str | None:
    """Handles are the same whatever their case, with or without @; the same person on two platforms is two authors."""
    if not isinstance(handle, str):
        return None
    name = handle.strip().lstrip("@").casefold()[:200]
    return None if name in _NOBODY else name


def _mac(secret: bytes, platform: str, name: str) -> bytes:
    return hmac.digest(secret, f"{platform}:{name}".encode(errors="replace"), "sha256")[:KEY_BYTES]


def parse_keys(text: str) -> AuthorKeys:
    """`2:hex,1:hex` -> keys. Raises BadKeys."""
    secrets: dict[int, bytes] = {}
    for part in text.split(","):
        version, _, secret = part.strip().partition(":")
        if not version.isdecimal() or not 0 < int(version) < 32_768:
            raise BadKeys("each key is VERSION:HEX, and the version a number from 1 to 32767")
        try:
            secrets[int(version)] = bytes.fromhex(secret)
        except ValueError:
            raise BadKeys(f"key {version} is not hexadecimal") from None
        if len(secrets[int(version)]) < _LEAST_SECRET:
            raise BadKeys(f"key {version} is shorter than {_LEAST_SECRET} bytes")
    return AuthorKeys(secrets)
