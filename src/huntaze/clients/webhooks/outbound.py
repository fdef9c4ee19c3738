"""The port of what goes to addresses that strangers named: one POST, to a vetted address, within bounds.

Every answer of the other side is an `Answer`, also that there is none: whether to try again is decided elsewhere. The
standard library's HTTP, on a socket of ours: it follows no redirect, knows no proxy and keeps no connection, so that
two hosts at one address (a CDN's) never share one.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from huntaze.pipelines.webhooks.addresses import why_refused
from huntaze.pipelines.webhooks.targets import Target, TargetPolicy

CONNECT_S = 5.0
TOTAL_S = 15.0  # name, connection, request and answer; Standard Webhooks recommends 15 to 30
MOST_BYTES = 64 * 1024  # of an answer, its head included; what it says is not read but for status and Retry-After

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Answer:
    """How a POST ended. `status`: None where nothing was answered, and then `error` says why, as a stable code."""

    status: int | None
    seconds: float
    retry_after: str | None = None
    error: str | None = None


class Outbound(Protocol):
    """Raises nothing that the other side could cause."""

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer: ...


@dataclass
class ScriptedOutbound:
    """The twin: notes what it is to send, and answers what it was told to."""

    answer: Callable[[Target, bytes, Mapping[str, str]], Answer] = lambda *_: Answer(200, 0.0)
    sent: list[tuple[Target, bytes, dict[str, str]]] = field(default_factory=list)

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.sent.append((target, body, dict(headers)))
        return self.answer(target, body, headers)


class _Failed(Exception):
    """No answer; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class HttpOutbound:
    """Over the internet. `resolve`: {host, port} -> addresses, raises OSError; `tls`: for tests, who to trust."""

    def __init__(
        self,
        policy: TargetPolicy,
        *,
        resolve: Resolve = look_up,
        tls: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context(trust_env=False)  # the certificates of a package, not a machine's
        self._total_s = total_s

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        begun = time.monotonic()
        end = begun + self._total_s
        try:
            with self._connected(target, end) as channel:
                status, retry_after = _exchange(channel, target, body, headers)
        except _Failed as failure:
            return Answer(None, time.monotonic() - begun, error=failure.code)
        except TimeoutError:
            return Answer(None, time.monotonic() - begun, error="webhook.timeout")
        except ssl.SSLError:
            return Answer(None, time.monotonic() - begun, error="webhook.tls")
        except http.client.HTTPException:
            return Answer(None, time.monotonic() - begun, error="webhook.bad_answer")
        except OSError:
            return Answer(None, time.monotonic() - begun, error="webhook.unreachable")
        return Answer(status, time.monotonic() - begun, retry_after)

    def _connected(self, target: Target, end: float) -> "_Channel":
        """A connection to an address that was looked at. The name is never resolved a second time."""
        error: Exception = _Failed("webhook.unreachable")
        for address in self._vetted(target, end):
            try:
                plain = socket.create_connection((address, target.port), min(CONNECT_S, _left(end)))
            except OSError as refused:
                error = refused
                continue
            try:
                plain.settimeout(_left(end))
                return _Channel(self._wrapped(plain, target), end)
            except BaseException:
                plain.close()
                raise
        raise error

    def _wrapped(self, plain: socket.socket, target: Target) -> socket.socket:
        # The certificate has to be that of the name, whatever address was connected to.
        return self._tls.wrap_socket(plain, server_hostname=target.host) if target.secure else plain

    def _vetted(self, target: Target, end: float) -> list[str]:
        """The host's addresses. One that is not public refuses them all: who mixes them is up to something."""
        addresses = _within(_left(end), lambda: self._resolve(target.host, target.port))
        if not addresses:
            raise _Failed("webhook.no_such_host")
        if not self._policy.insecure and any(why_refused(address) for address in addresses):
            raise _Failed("webhook.address_refused")
        return addresses


def _left(end: float) -> float:
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _within(seconds: float, resolve: Callable[[], list[str]]) -> list[str]:
    """The system's resolver takes no deadline: it is asked in a thread that may be left behind."""
    found: list[list[str]] = []

    def ask() -> None:
        try:
            found.append(resolve())
        except (OSError, UnicodeError):
            found.append([])

    thread = threading.Thread(target=ask, daemon=True, name="webhook-resolver")
    thread.start()
    thread.join(seconds)
    if not found:
        raise TimeoutError
    return found[0]


def _exchange(channel: "_Channel", target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = channel
    connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
    fixed = {"Host": target.authority, "Content-Length": str(len(body)), "Connection": "close"}
    for name, value in {**headers, **fixed}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    return response.status, response.getheader("Retry-After")


class _Channel:
    """A connected socket with an end: each wait is cut to the time that is left, and no more than MOST_BYTES come."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def __enter__(self) -> "_Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def sendall(self, data: bytes) -> None:
        """A timeout of `sendall` is one of the whole, by the standard library's word."""
        self._sock.settimeout(_left(self._end))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bounded(self._sock, self._end))

    def close(self) -> None:
        """`http.client` lets go of the connection before it reads the answer; `__exit__` closes it."""


class _Bounded(io.RawIOBase):
    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end, self._room = sock, end, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._room <= 0:
            raise _Failed("webhook.bad_answer")
        self._sock.settimeout(_left(self._end))
        count = self._sock.recv_into(buffer, min(len(buffer), self._room))
        self._room -= count
        return count
