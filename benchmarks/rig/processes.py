"""Real processes of the fleet on embedded stores, in a folder that is gone afterwards."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis
from sqlalchemy import Engine, text

from benchmarks.rig.report import clean_environment
from huntaze.cli.stack import guard
from huntaze.cli.stack.stores import Stores, embedded_stores
from huntaze.models import node_store, schema
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
# Below a guard, so that nothing is left running when a benchmark is killed.
_GUARD = (sys.executable, "-I", "-S", guard.__file__, "15", "10", "--")


@dataclass
class Rig:
    """The stores, as durable as `huntaze up` has them, and what was started on them."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    engine: Engine
    sessions: Sessions
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *argv: str, **variables: str) -> subprocess.Popen[bytes]:
        """`python -m ARGV` in the rig's folder, with a log of its own."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*_GUARD, sys.executable, "-m", *argv],
                env={**self.environment, **variables},
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[name] = process
        return process

    def start_nodes(self, nodes: Mapping[str, Sequence[str]]) -> None:
        """Starts processes of the fleet, {name: arguments}, and returns when all have sent their heartbeats."""
        before = self._nodes()
        started = {name: self.start(name, "huntaze.worker", *argv) for name, argv in nodes.items()}

        def ready() -> bool:
            for name, process in started.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {self.log(name)}")
            return len(self._nodes() - before) >= len(started)

        self.until(ready, "the heartbeats of the nodes", 60)

    def stop(self, *names: str) -> None:
        """Stops the named processes, or all: in good order if they can, by force if not."""
        chosen = [self.running.pop(name) for name in names or list(self.running)]
        for process in chosen:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(b"s")
                process.stdin.flush()
        for process in chosen:
            process.wait(15)
            assert process.stdin is not None
            process.stdin.close()

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 120.0, every_s: float = 0.05) -> None:
        """Waits for a condition. Raises TimeoutError with the logs of what runs."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"== {name}\n{self.log(name)}" for name in self.running)
                raise TimeoutError(f"waited {timeout_s:g} s in vain for {what}\n{logs}")
            time.sleep(every_s)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def store_versions(self) -> dict[str, str]:
        """Which servers it ran on."""
        with self.engine.connect() as connection:
            postgres = str(connection.execute(text("SHOW server_version")).scalar_one())
        client = redis.Redis.from_url(self.settings.redis.url.get_secret_value())
        info = client.info("server")
        client.close()
        return {"postgres": postgres, "valkey": str(info.get("valkey_version", info["redis_version"]))}

    def _nodes(self) -> set[str]:
        with self.sessions() as session:
            return {beat.name for beat in node_store.alive(session)}


@contextmanager
def rig(*, s3: bool = False) -> Iterator[Rig]:
    """Stores, migrated, with fsync on. What the rig started is stopped before they are."""
    with tempfile.TemporaryDirectory(prefix="huntaze-bench-") as folder:
        path = Path(folder)
        with embedded_stores(path / "data", s3=s3, durable=True) as stores:
            environment = {**clean_environment(), **_addresses(stores, s3), "PYTHONPATH": _with_root()}
            for name in [name for name in os.environ if name.startswith("HUNTAZE_")]:
                del os.environ[name]
            os.environ.update({name: value for name, value in environment.items() if name.startswith("HUNTAZE_")})
            settings = load()
            engine = build_engine(settings.database.sqlalchemy_url, pool_size=10, application="benchmark")
            schema.upgrade(engine)
            made = Rig(path, environment, settings, engine, build_sessions(engine))
            try:
                yield made
            finally:
                made.stop()
                engine.dispose()


def _with_root() -> str:
    """Our own import path, with this package on it: the processes run the code that we run."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def _addresses(stores: Stores, s3: bool) -> dict[str, str]:
    found = {
        "HUNTAZE_DATABASE_URL": stores.database_url,
        "HUNTAZE_REDIS_URL": stores.redis_url,
        "HUNTAZE_S3_BUCKET": "huntaze-bench",
        "HUNTAZE_AI_BASE_URL": "http://127.0.0.1:9/v1",  # nobody listens, and nothing here asks a model
    }
    if s3:
        found |= {
            "HUNTAZE_S3_ENDPOINT_URL": stores.s3.endpoint_url,
            "HUNTAZE_S3_ACCESS_KEY_ID": stores.s3.access_key,
            "HUNTAZE_S3_SECRET_ACCESS_KEY": stores.s3.secret_key,
        }
    return found
