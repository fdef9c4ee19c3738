"""A fleet's shared state: each `shared()` is another process of it. Both wires: the twin, and HTTP to the sandbox."""

import secrets
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from huntaze.cli.sandbox_ai import build_app
from huntaze.cli.stack.stores import Stores
from huntaze.clients.ai.memory_wire import MemoryWire
from huntaze.clients.ai.shared_state import SharedState
from huntaze.clients.ai.wire import HttpWire
from huntaze.setting_groups import RedisSettings
from tests.clients.ai.bench import Bench

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


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    """The sandbox's base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(build_app(), log_config=None, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive(), "the sandbox does not stop"


@pytest.fixture(params=["memory", "sandbox"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        yield Bench(MemoryWire(), "http://nowhere.test/v1")
        return
    wire = HttpWire()
    yield Bench(wire, request.getfixturevalue("sandbox"))
    wire.close()
