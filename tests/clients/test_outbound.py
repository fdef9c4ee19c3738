"""One POST to an address that a stranger named: bounded in time and size, and only to where it was looked at."""

import socket
import ssl
import threading
import time
from collections.abc import Sequence

import pytest

from huntaze.clients.webhooks.outbound import MOST_BYTES, Answer, HttpOutbound, Resolve, ScriptedOutbound
from huntaze.pipelines.webhooks.targets import Target, TargetPolicy, parse_target
from tests.clients.receivers import CERTIFICATE, answer, drip, receiving

MINE = TargetPolicy(insecure=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def to(*addresses: str) -> Resolve:
    return lambda _host, _port: list(addresses)


def here(port: int, path: str = "/") -> Target:
    return Target(False, "hooks.example.com", port, path)


def post(target: Target, addresses: Sequence[str] = ("127.0.0.1",), total_s: float = 5.0) -> Answer:
    return HttpOutbound(MINE, resolve=to(*addresses), total_s=total_s).post(target, b'{"a": 1}', {"webhook-id": "m"})


def test_what_is_sent_arrives_as_it_is() -> None:
    with receiving(answer(OK)) as receiver:
        found = post(here(receiver.port, "/in?x=%20y"))
    assert (found.status, found.error) == (200, None)
    [request] = receiver.requests
    lines = request.decode().split("\r\n")
    assert lines[0] == "POST /in?x=%20y HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        "Connection: close",
        "Content-Length: 8",
        f"Host: hooks.example.com:{receiver.port}",
        "webhook-id: m",
    ]
    assert lines[-1] == '{"a": 1}'


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with receiving(answer(OK)) as inner:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n"
        with receiving(answer(moved.encode())) as receiver:
            assert post(here(receiver.port)).status == 302
        assert (len(receiver.requests), inner.requests) == (1, [])


def test_retry_after_is_told() -> None:
    with receiving(answer(b"HTTP/1.1 429 Slow down\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")) as receiver:
        found = post(here(receiver.port))
    assert (found.status, found.retry_after) == (429, "120")


def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving(answer(OK)) as receiver:
        assert post(here(receiver.port)).status == 200


@pytest.mark.parametrize("bad", ["127.0.0.1", "169.254.169.254", "::ffff:8.8.8.8", "fe80::1%lo", "64:ff9b::808:808"])
def test_one_address_that_is_not_public_refuses_the_host(bad: str) -> None:
    """And nothing is connected to: a receiver on this machine hears nothing."""
    with receiving(answer(OK)) as receiver:
        for addresses in ([bad], ["93.184.216.34", bad], [bad, "93.184.216.34"]):
            outbound = HttpOutbound(TargetPolicy(), resolve=to(*addresses), total_s=2)
            found = outbound.post(here(receiver.port), b"{}", {})
            assert (found.status, found.error) == (None, "webhook.address_refused")
            assert found.seconds < 1
    assert receiver.requests == []


@pytest.mark.parametrize("name", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_names_of_this_machine_by_the_systems_own_resolver(name: str) -> None:
    with receiving(answer(OK)) as receiver:
        found = HttpOutbound(TargetPolicy(), total_s=5).post(Target(False, name, receiver.port, "/"), b"{}", {})
    assert found.status is None
    assert found.error in ("webhook.address_refused", "webhook.no_such_host")
    assert receiver.requests == []


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiving(answer(OK)) as receiver:
        assert HttpOutbound(MINE, resolve=rebinding).post(here(receiver.port), b"{}", {}).status == 200
    assert asked == ["hooks.example.com"]


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with receiving(answer(OK)) as receiver:
        assert post(here(receiver.port), ["127.9.9.9", "127.0.0.1"]).status == 200


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert post(here(port)).error == "webhook.unreachable"
    assert post(here(port), []).error == "webhook.no_such_host"
    assert HttpOutbound(MINE, total_s=10).post(Target(False, "nobody.invalid", 80, "/"), b"", {}).status is None


@pytest.mark.parametrize(
    "piece",
    [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n"],
    ids=["silent", "bytes", "status", "heads"],
)
def test_a_receiver_that_drips_is_not_waited_for(piece: bytes) -> None:
    with receiving(drip(piece, 0.05)) as receiver:
        begun = time.monotonic()
        found = post(here(receiver.port), total_s=0.4)
    assert found.status is None
    assert found.error in ("webhook.timeout", "webhook.bad_answer")
    assert time.monotonic() - begun < 3


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    stop = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        stop.wait(20)
        return ["127.0.0.1"]

    found = HttpOutbound(MINE, resolve=hang, total_s=0.2).post(here(9), b"{}", {})
    stop.set()
    assert (found.error, found.seconds < 2) == ("webhook.timeout", True)


def test_an_endless_body_is_not_read() -> None:
    with receiving(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)) as receiver:
        assert post(here(receiver.port)).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(90)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MOST_BYTES + b"\r\n\r\n",
        b"\x16\x03\x01 not http at all\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"",
    ],
    ids=["many headers", "a long header", "no http", "no status", "nothing"],
)
def test_what_is_no_answer(raw: bytes) -> None:
    with receiving(answer(raw)) as receiver:
        found = post(here(receiver.port))
    assert (found.status, found.error) in ((None, "webhook.bad_answer"), (None, "webhook.unreachable"))


def secure(port: int, name: str = "hooks.example.com") -> Answer:
    trusted = ssl.create_default_context(cafile=str(CERTIFICATE))
    outbound = HttpOutbound(MINE, resolve=to("127.0.0.1"), tls=trusted, total_s=5)
    return outbound.post(parse_target(f"https://{name}:{port}/", MINE), b"{}", {})


def test_tls_speaks_to_the_name_at_the_address_that_was_looked_at() -> None:
    with receiving(answer(OK), tls=True) as receiver:
        assert secure(receiver.port).status == 200
    assert receiver.names == ["hooks.example.com"]
    assert b"Host: hooks.example.com:" in receiver.requests[0]


def test_a_certificate_of_another_name_or_of_nobody_is_refused() -> None:
    with receiving(answer(OK), tls=True) as receiver:
        assert secure(receiver.port, "other.example.com").error == "webhook.tls"
        unknown = HttpOutbound(MINE, resolve=to("127.0.0.1"))
        assert unknown.post(Target(True, "hooks.example.com", receiver.port, "/"), b"{}", {}).error == "webhook.tls"
    assert receiver.requests == []


def test_the_twin_notes_what_it_is_to_send() -> None:
    twin = ScriptedOutbound(lambda target, body, headers: Answer(204, 0.1))
    assert twin.post(here(1), b"x", {"a": "b"}).status == 204
    assert twin.sent == [(here(1), b"x", {"a": "b"})]
