"""Waiting for what other processes do, and asking the kernel what they are."""

import socket
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Return as soon as the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not so after {within_s:g} s"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def marked(mark: str) -> list[str]:
    """The command lines of the processes that were started with `mark` in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and alive(int(folder.name)):
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def listening(port: int) -> list[str]:
    """The addresses on which somebody listens on the port, of IPv4 and IPv6."""
    addresses = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, _, state = row.split()[1:4]
            address, at = local.split(":")
            if state == "0A" and int(at, 16) == port:
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                addresses.append(socket.inet_ntop(family, b"".join(words)))
    return addresses
