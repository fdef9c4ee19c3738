"""The same stream over a WebSocket."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from huntaze.api.app import build_app
from huntaze.models import user_store
from huntaze.models.database import Sessions
from huntaze.models.users import User
from huntaze.settings import Settings
from tests.api.conftest import Serve
from tests.api.listening import placed


@contextmanager
def socket(base_url: str, key: str | None, query: str = "", **headers: str) -> Iterator[ClientConnection]:
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    url = f"{base_url.replace('http', 'ws', 1)}/v1/events/ws{query}"
    with connect(url, additional_headers=headers, proxy=None) as connection:
        yield connection


def received(connection: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return message


@pytest.fixture
def key(creator: User, make_key: Callable[..., str]) -> str:
    return make_key(creator)


def test_live_and_resumed(base_url: str, key: str, creator: User, sessions: Sessions) -> None:
    with socket(base_url, key) as connection:
        opening = received(connection)
        assert (opening["type"], opening["data"]) == ("stream.opened", {})
        placed(sessions, creator.id, 1, 2)
        connection.send("whatever the client says")
        events = [received(connection) for _ in range(2)]
        assert [event["data"]["n"] for event in events] == [1, 2]
        assert events[0]["position"] > opening["position"]
    placed(sessions, creator.id, 3)
    with socket(base_url, key, f"?after={events[0]['position']}") as again:
        assert received(again)["position"] == events[0]["position"]
        assert [received(again)["data"]["n"] for _ in range(2)] == [2, 3]


@pytest.mark.parametrize(
    ("sent", "query", "status", "code"),
    [
        (None, "", 401, "auth.required"),
        ("hz_00000000_wrong", "", 401, "auth.invalid_key"),
        ("good", "?after=x", 422, "request.invalid"),
    ],
)
def test_a_refusal_is_a_problem_too(
    base_url: str, key: str, sent: str | None, query: str, status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(base_url, key if sent == "good" else sent, query):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert json.loads(response.body)["code"] == code


def test_a_revoked_key_is_told_why(base_url: str, key: str, sessions: Sessions) -> None:
    with socket(base_url, key) as connection:
        received(connection)
        with sessions.begin() as session:
            user_store.revoke_key(session, key.split("_")[1])
        with pytest.raises(ConnectionClosed) as closed:
            received(connection)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_both_kinds_share_the_bound(base_url: str, key: str) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket(base_url, key))
        with pytest.raises(InvalidStatus) as refused:
            stack.enter_context(socket(base_url, key))
    assert refused.value.response.status_code == 429


def test_a_huge_message_is_refused(serve: Serve, settings: Settings, key: str) -> None:
    with serve(build_app(settings)) as url, socket(url, key) as connection:
        received(connection)
        connection.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            received(connection)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_stop_closes_the_socket(serve: Serve, settings: Settings, key: str) -> None:
    with serve(build_app(settings)) as url:
        connection = socket(url, key)
        opened = connection.__enter__()
        received(opened)
    with pytest.raises(ConnectionClosed) as closed:
        received(opened)
    connection.__exit__(None, None, None)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in (1001, 1012)
