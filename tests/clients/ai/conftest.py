"""A fleet's shared state: each `shared()` is another process of it."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from huntaze.cli.stack.stores import Stores
from huntaze.clients.ai.shared_state import SharedState
from huntaze.setting_groups import RedisSettings

NewShared = Callable[..., SharedState]


@pytest.fixture
def redis_settings(stores: Stores) -> RedisSettings:
    """The real server, under a prefix of this test alone."""
    return RedisSettings(url=stores.redis_url, prefix=f"test-{secrets.token_hex(4)}:")


@pytest.fixture
def shared(redis_settings: RedisSettings) -> Iterator[NewShared]:
    made: list[SharedState] = []

    def make(url: str | None = None, **options: float) -> SharedState:
        settings = redis_settings if url is None else RedisSettings(url=url, prefix="x:")
        made.append(SharedState(settings, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def dead_url() -> str:
    """Nobody listens there."""
    return "redis://127.0.0.1:9/0"
