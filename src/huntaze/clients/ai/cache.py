"""Answers kept in Redis, under keys that are handed in. What may be kept, and for whose eyes, the gateway says."""

import random
from typing import Any

from huntaze.clients.ai.shared_state import SharedState, SharedStateAway

_MOST_BYTES = 128 << 10  # the broker lives in the same memory
_JITTER = 0.1  # answers that were kept together do not run out together


class RedisCache:
    """The port's Cache. Where Redis is away nothing is kept and nothing is found."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    def get(self, key: str) -> str | None:
        """The answer, if it is still there."""
        try:
            kept: Any = self._shared.ask(lambda client: client.get(self._shared.key("answer", key)))
        except SharedStateAway:
            return None
        return None if kept is None else str(kept, "utf-8")

    def put(self, key: str, reply_json: str, ttl_s: float) -> None:
        """Keeps an answer for `ttl_s` seconds, a tenth more or less."""
        body = reply_json.encode()
        lifetime = round(1000 * ttl_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - not a secret
        if lifetime <= 0 or len(body) > _MOST_BYTES:
            return
        try:
            self._shared.ask(lambda client: client.set(self._shared.key("answer", key), body, px=lifetime))
        except SharedStateAway:
            return
