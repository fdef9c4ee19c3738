"""Notices that the broker has lost its memory: flushed, restarted empty, or failed over to an empty replica."""

import redis

from huntaze.setting_groups import RedisSettings


class Sentinel:
    """A key that only a loss can remove. Raises redis.RedisError where the broker is away."""

    def __init__(self, settings: RedisSettings) -> None:
        self._prefix = settings.prefix
        self._key = f"{settings.prefix}sentinel"
        self._redis = redis.Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=5,
            socket_connect_timeout=2,
            socket_keepalive=True,
            health_check_interval=10,
        )

    def gone(self) -> bool:
        """True if the key is not there: whatever lay with the broker may be lost."""
        return not self._redis.exists(self._key)

    def waiting(self, queue: str) -> int:
        """How many hints of a queue lie with the broker, untouched by any worker."""
        return int(self._redis.llen(f"{self._prefix}{queue}"))

    def plant(self) -> None:
        """Puts the key there; after the hints were sent again, as a crash in between must not leave them unsent."""
        self._redis.set(self._key, "1")

    def close(self) -> None:
        self._redis.close()
