"""Real processes of the fleet, on the stores of this test run."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from huntaze.cli.stack.ports import HeldPort
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import content_store, job_enqueue, node_store
from huntaze.models.base import new_id
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions
from huntaze.models.job_args import VideoExtract
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.pipelines.video.sample import write_sample
from tests.acceptance import kinds
from tests.acceptance.ledger import Ledger
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Processes:
    """Starts processes of the fleet, each with its log; kills what is left at the end."""

    sessions: Sessions
    environment: dict[str, str]
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    module: str = "huntaze.worker"

    def start(self, *argv: str, **variables: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.running)}-{argv[0]}-{argv[1] if len(argv) > 1 else ''}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", *argv],
            cwd=ROOT,
            env={**os.environ, **self.environment, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        return process

    def worker(
        self, queues: str = "video,ai,default", concurrency: int = 1, **variables: str
    ) -> subprocess.Popen[bytes]:
        before = self._nodes()
        process = self.start(self.module, "worker", "--queues", queues, "--concurrency", str(concurrency), **variables)
        until(lambda: process.poll() is not None or self._nodes() - before, "the worker's heartbeat", 60)
        assert process.poll() is None, self.logs()
        return process

    def dispatcher(self, **variables: str) -> subprocess.Popen[bytes]:
        before = self._nodes()
        process = self.start(self.module, "dispatcher", **variables)
        until(lambda: process.poll() is not None or self._nodes() - before, "the dispatcher's heartbeat", 60)
        return process

    def _nodes(self) -> set[str]:
        with self.sessions() as session:
            return {beat.name for beat in node_store.alive(session)}

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        for process in self.running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def processes(sessions: Sessions, environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    started = Processes(sessions, {**environment, "HUNTAZE_REDIS_PREFIX": f"t{os.urandom(4).hex()}:"}, tmp_path)
    yield started
    started.close()


@pytest.fixture
def ledger(sessions: Sessions, creator: User, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger, while this process knows the tests' kinds too."""
    for name, kind in kinds.NEW.items():
        monkeypatch.setitem(KINDS, name, kind)
    return Ledger(sessions, creator)


@pytest.fixture
def fleet(processes: Processes) -> Processes:
    """Processes that know the tests' kinds."""
    processes.module = "tests.acceptance.entry"
    return processes


@pytest.fixture
def sandbox(processes: Processes) -> str:
    """The sandbox model's address."""
    with HeldPort() as port:
        processes.start("huntaze.cli.sandbox_ai", "--port", str(port.number))
        until(lambda: _listens(port.number), "the sandbox model")
    return f"http://127.0.0.1:{port.number}/v1"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path)
    return path


@dataclass(frozen=True)
class Videos:
    """Puts videos into the store and the ledger, as the API does."""

    sessions: Sessions
    objects: S3ObjectStore
    creator: User

    def enqueue(self, path: Path) -> tuple[ContentTask, Job]:
        content_id, body = new_id(), path.read_bytes()
        key = f"creators/{self.creator.id}/uploads/{content_id}/source.mp4"
        info = self.objects.put(key, body, "video/mp4")
        with self.sessions.begin() as session:
            content = Content(
                id=content_id,
                creator_id=self.creator.id,
                kind="video",
                name=path.name,
                object_key=key,
                content_type="video/mp4",
                size=info.size,
                etag=info.etag,
            )
            session.add(content)
            session.flush()
            task = ContentTask(id=new_id(), creator_id=self.creator.id, content_id=content.id)
            session.add(task)
            session.flush()
            args = VideoExtract(task_id=task.id)
            job = job_enqueue.enqueue(session, args, creator_id=self.creator.id, subject_id=task.id).job
            task.job_id = job.id
        return task, job

    def task(self, task: ContentTask) -> ContentTask:
        with self.sessions() as session:
            return content_store.load_task(session, task.id)[0]

    def job(self, job: Job) -> Job:
        with self.sessions() as session:
            return session.get_one(Job, job.id)

    def events(self, type: str) -> int:
        with self.sessions() as session:
            query = text("SELECT count(*) FROM events WHERE type = :type AND position IS NOT NULL")
            return int(session.execute(query, {"type": type}).scalar_one())


@pytest.fixture
def videos(sessions: Sessions, objects: S3ObjectStore, creator: User) -> Videos:
    return Videos(sessions, objects, creator)


class Gate:
    """A TCP relay in front of a server, which can be shut: what has been asked then stays without an answer."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self.waiting = threading.Event()  # somebody stands before the shut gate
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        self.waiting.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._target)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(65536):
                if not self._open.is_set():
                    self.waiting.set()
                    self._open.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def gate(environment: dict[str, str]) -> Iterator[Gate]:
    """A gate before the object store."""
    host, port = environment["HUNTAZE_S3_ENDPOINT_URL"].removeprefix("http://").split(":")
    built = Gate((host, int(port)))
    yield built
    built.close()
