"""A real server in a thread: what is tested is what is deployed, uvicorn and sockets included."""

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from huntaze.api.app import build_app
from huntaze.api.server import build_server
from huntaze.api.streams import StreamPolicy
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import user_store
from huntaze.models.database import Sessions
from huntaze.models.users import Scope, User
from huntaze.settings import Settings

Serve = Callable[[FastAPI], AbstractContextManager[str]]


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serves the app on a free port and gives its base URL. The socket listens at once: nobody has to wait."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = build_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server does not stop"


@pytest.fixture(scope="session")
def serve() -> Serve:
    return serving


@pytest.fixture(scope="session")
def base_url(settings: Settings, migrated: Engine, objects: S3ObjectStore) -> Iterator[str]:
    with serving(build_app(settings, policy=StreamPolicy(keep_alive_s=0.5, recheck_s=0.5, per_creator=5))) as url:
        yield url


@pytest.fixture
def make_key(sessions: Sessions) -> Callable[..., str]:
    """Makes a key of the user (None: a service) with the scopes."""

    def make(user: User | None, *scopes: Scope, **options: object) -> str:
        with sessions.begin() as session:
            chosen = scopes or (Scope.READ, Scope.WRITE)
            return user_store.create_key(session, user and user.id, "test", chosen, **options)[1]  # type: ignore[arg-type]

    return make


@pytest.fixture
def stranger(sessions: Sessions) -> User:
    """Another creator."""
    with sessions.begin() as session:
        return user_store.ensure_user(session, f"mallory-{uuid.uuid4()}")


Connect = Callable[..., httpx.Client]


@pytest.fixture
def connect(base_url: str) -> Iterator[Connect]:
    """Clients of the server, with a key or without."""
    clients: list[httpx.Client] = []

    def make(key: str | None = None, **headers: str) -> httpx.Client:
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        # Unverified, since it is plain HTTP: loading the certificates would cost 30 ms a client.
        clients.append(httpx.Client(base_url=base_url, headers=headers, timeout=10, trust_env=False, verify=False))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def api(connect: Connect, creator: User, make_key: Callable[..., str]) -> httpx.Client:
    """What the creator `ada` sees."""
    return connect(make_key(creator))


@pytest.fixture
def other(connect: Connect, stranger: User, make_key: Callable[..., str]) -> httpx.Client:
    """What another creator sees."""
    return connect(make_key(stranger))
