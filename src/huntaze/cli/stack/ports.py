"""Ports on the loopback interface: the usual one where it is free, another where it is taken."""

import errno
import socket
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"

METRICS_PORTS = {"dispatcher": 9101, "worker-video": 9102, "worker-io": 9103, "beat": 9104}
DEFAULT_PORTS = {"api": 8000, "flower": 5555, "postgres": 5433, "valkey": 6380, "s3": 4566, **METRICS_PORTS}
"""PostgreSQL and Valkey one above their usual ports: there is often one of the system's own on those."""


class HeldPort:
    """A port bound but not listened on: nobody is given it by chance, and the service it is meant for can have it.

    Linux lets two sockets with SO_REUSEADDR bind the same port as long as at most one listens; PostgreSQL, Valkey,
    hypercorn, uvicorn and tornado all set it. To be released when the service listens.
    """

    def __init__(self, preferred: int | None = None) -> None:
        self._socket = _bind(preferred or 0) or _bind(0)
        assert self._socket is not None
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def is_free(port: int) -> bool:
    """Whether a service could listen on the port now."""
    probe = _bind(port)
    if probe is not None:
        probe.close()
    return probe is not None


def _bind(port: int) -> socket.socket | None:
    """A bound socket; None when somebody listens there. Raises `OSError` for anything else that is wrong."""
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind((LOOPBACK, port))
    except OSError as error:
        candidate.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return candidate
