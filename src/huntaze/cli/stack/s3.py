"""An S3 server for one machine: `ministack`, with signatures checked, objects on disk, and all else switched off."""

import asyncio
import http.client
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from huntaze.cli.stack import binaries
from huntaze.cli.stack.credentials import Credentials
from huntaze.cli.stack.ports import LOOPBACK
from huntaze.cli.stack.service import Service, Stage

REGION = "us-east-1"


@dataclass(frozen=True)
class S3:
    """A server's place and port. Buckets are created by the object store's client."""

    home: Path
    port: int
    credentials: Credentials

    @property
    def endpoint_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def service(self) -> Service:
        """Create the folders and describe the process."""
        binaries.ministack_package()
        for name in ("objects", "state", "tmp"):
            (self.home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        return Service(
            name="s3",
            argv=(sys.executable, "-m", "huntaze.cli.stack.s3_gate"),
            env=self._environment(),
            ready=lambda: asyncio.to_thread(self._answers),
            stage=Stage.STORES,
            cwd=self.home,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "SERVICES": "s3",
            "BIND_HOST": LOOPBACK,
            "MINISTACK_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",  # presigned URLs are checked in any case; this refuses keys that it does not know
            "AWS_ACCESS_KEY_ID": self.credentials.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.s3_secret_key,
            "MINISTACK_REGION": REGION,
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.home / "objects"),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.home / "state"),
            "LOG_LEVEL": "WARNING",
            # Else it listens on 8883 and 2222 for services that are off, and stops containers it takes for its own.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{self.home}/no-docker.sock",
        }

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=1)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
