"""Receivers of webhooks, well-behaved and not: sockets of this machine."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("certificates") / "hooks.example.com.pem"  # self-signed, of nobody
Behave = Callable[[socket.socket, "Receiver"], None]


@dataclass
class Receiver:
    """What arrived. `stop` is set once the test is over."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)  # of TLS (SNI)
    stop: threading.Event = field(default_factory=threading.Event)


def answer(raw: bytes) -> Behave:
    """Reads the whole request, then says this."""

    def behave(peer: socket.socket, receiver: Receiver) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        [length] = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
        while len(body) < length:
            body += peer.recv(65536)
        receiver.requests.append(head + b"\r\n\r\n" + body)
        peer.sendall(raw)

    return behave


def drip(piece: bytes, every_s: float) -> Behave:
    """Says this over and over, with pauses, for as long as the test goes on."""

    def behave(peer: socket.socket, receiver: Receiver) -> None:
        while not receiver.stop.wait(every_s):
            peer.sendall(piece)

    return behave


@contextmanager
def receiving(behave: Behave, *, tls: bool = False) -> Iterator[Receiver]:
    """A receiver on a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    receiver = Receiver(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            try:
                with _wrapped(peer, receiver) if tls else peer as channel:
                    behave(channel, receiver)
            except OSError:
                pass  # the sender left: what some of these tests are about
            finally:
                peer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _wrapped(peer: socket.socket, receiver: Receiver) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.sni_callback = lambda _socket, name, _context: receiver.names.append(name)  # type: ignore[assignment]
    return context.wrap_socket(peer, server_side=True)
