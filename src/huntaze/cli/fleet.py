"""The whole fleet on one machine: what is not pointed elsewhere is embedded, then every process of ours is started."""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from huntaze.cli.fleet_process import answers, nodes, service, spoke
from huntaze.cli.stack.credentials import write_private
from huntaze.cli.stack.errors import StackError
from huntaze.cli.stack.ports import DEFAULT_PORTS, LOOPBACK, HeldPort
from huntaze.cli.stack.rundir import RunDir
from huntaze.cli.stack.service import Stage
from huntaze.cli.stack.stores import Stores, start_stores
from huntaze.cli.stack.supervisor import Supervisor
from huntaze.models import user_store
from huntaze.models.database import Sessions, build_engine, build_sessions
from huntaze.models.users import Scope
from huntaze.setting_groups import ApifySettings
from huntaze.settings import GROUPS, Settings, given, load

BUCKET = "huntaze-media"
DEMO_HANDLE = "demo"
SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox of Apify looks at none
_WORKER = ("-m", "huntaze.worker")
WORKERS = {"worker-video": "video", "worker-io": "ai,default"}
Note = Callable[[str], None]


class PortTaken(StackError):
    """The port that was asked for cannot be had; no other is taken in its place."""

    def __init__(self, port: int) -> None:
        reason = "taken" if port >= 1024 else "taken, or kept for root"
        super().__init__(f"Port {port} is {reason}: name another with --port, or leave it out to get a free one.")


@dataclass(frozen=True)
class Fleet:
    """A fleet that answers. `environment` points any other command of ours at it."""

    environment: dict[str, str]
    api_url: str
    sessions: Sessions
    ports: dict[str, int]
    key: str
    creator_id: str
    embedded: tuple[str, ...]
    sandbox: bool


def wanted() -> dict[str, bool]:
    """Which services are to be embedded: those whose address is not set. Raises SettingsError for one half set."""
    embed = {}
    for name in ("database", "redis", "s3", "ai"):
        group = GROUPS[name]
        try:
            group()
            embed[name] = False
        except ValidationError as error:
            missing_only = all(problem["type"] == "missing" for problem in error.errors())
            # Credentials without an address, say: better an error than a store that nobody asked for.
            if not missing_only or (name in ("s3", "ai") and given(group)):
                load(name)
            embed[name] = True
    return embed


async def start_fleet(supervisor: Supervisor, run: RunDir, ports: dict[str, int], note: Note) -> Fleet:
    """Starts all of it and returns when every process answers. `ports`: those that have to be exactly these; the
    others fall on any free port where the usual one is taken. Raises SettingsError, StackError."""
    embed = wanted()
    exactly = "api" in ports
    ports = {**DEFAULT_PORTS, **ports}
    note("starting the stores")
    environment = dict(os.environ)
    stores = start_stores(
        supervisor, run, postgres=embed["database"], valkey=embed["redis"], s3=embed["s3"], preferred_ports=ports
    )
    started, sandbox_url = await asyncio.gather(stores, _start_sandbox(supervisor, environment, embed["ai"]))
    environment |= _addresses(started, embed)
    if not given(ApifySettings):
        environment |= await _start_apify(supervisor, environment, run)
    if sandbox_url:
        environment |= {"HUNTAZE_AI_BASE_URL": sandbox_url, "HUNTAZE_AI_MODEL": "sandbox-vision"}
    # Ctrl-C is promised to take under 10 s; what is not done by then goes back to the ledger.
    environment.setdefault("HUNTAZE_WORKER_GRACE_S", "2")
    environment["HUNTAZE_FLOWER_PASSWORD"] = _kept_secret(run.path / "flower-password")
    environment.setdefault("HUNTAZE_WEBHOOKS_KEY", _kept_secret(run.path / "webhooks-key", 32))
    os.environ.update(environment)  # our own settings come from there too
    settings = load()
    note("migrating the database")
    key, creator_id, sessions = await asyncio.to_thread(_prepare, settings, run)
    note("starting the processes")
    api_url = await _start_processes(supervisor, environment, sessions, ports, exactly=exactly)
    return Fleet(
        environment={name: value for name, value in environment.items() if name.startswith("HUNTAZE_")},
        api_url=api_url,
        sessions=sessions,
        ports=ports,
        key=key,
        creator_id=creator_id,
        embedded=tuple(name for name, here in embed.items() if here),
        sandbox=embed["ai"],
    )


def _addresses(stores: Stores, embed: dict[str, bool]) -> dict[str, str]:
    found = {}
    if embed["database"]:
        found["HUNTAZE_DATABASE_URL"] = stores.database_url
    if embed["redis"]:
        found["HUNTAZE_REDIS_URL"] = stores.redis_url
    if embed["s3"]:
        s3 = stores.s3
        found |= {
            "HUNTAZE_S3_ENDPOINT_URL": s3.endpoint_url,
            "HUNTAZE_S3_ACCESS_KEY_ID": s3.access_key,
            "HUNTAZE_S3_SECRET_ACCESS_KEY": s3.secret_key,
            "HUNTAZE_S3_REGION": s3.region,
            "HUNTAZE_S3_BUCKET": BUCKET,
        }
    return found


def _kept_secret(path: Path, random_bytes: int = 12) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(random_bytes))
    return path.read_text().strip()


def _prepare(settings: Settings, run: RunDir) -> tuple[str, str, Sessions]:
    """Migrations, bucket, demo creator and its key (kept in the data folder, for its owner alone)."""
    from huntaze.clients.s3 import S3ObjectStore  # alembic and boto3 load while the processes' own imports are awaited
    from huntaze.models import schema

    engine = build_engine(settings.database.sqlalchemy_url, pool_size=2, application="huntaze-up")
    schema.upgrade(engine)
    store = S3ObjectStore(settings.s3)
    store.ensure_bucket()
    store.close()
    sessions = build_sessions(engine)
    path = run.path / "demo-key"
    with sessions.begin() as session:
        user = user_store.ensure_user(session, DEMO_HANDLE)
        secret = path.read_text().strip() if path.exists() else ""
        if user_store.authenticate(session, secret) is None:
            _, secret = user_store.create_key(session, user.id, "huntaze up", (Scope.READ, Scope.WRITE))
            write_private(path, secret)
    return secret, str(user.id), sessions


async def _start_sandbox(supervisor: Supervisor, environment: dict[str, str], embed: bool) -> str | None:
    if not embed:
        return None
    with HeldPort() as port:
        argv = ("-m", "huntaze.cli.sandbox_ai", "--port", str(port.number))
        await supervisor.start(service("sandbox-ai", argv, environment, Stage.STORES, answers(port.number, "/healthz")))
        return f"http://{LOOPBACK}:{port.number}/v1"


async def _start_apify(supervisor: Supervisor, environment: dict[str, str], run: RunDir) -> dict[str, str]:
    """The sandbox of scrapers, and the variables that point a fleet at it."""
    with HeldPort() as port:
        argv = ("-m", "huntaze.cli.sandbox_apify", "--port", str(port.number))
        ready = answers(port.number, "/healthz")
        await supervisor.start(service("sandbox-apify", argv, environment, Stage.STORES, ready))
        return {
            "HUNTAZE_APIFY_BASE_URL": f"http://{LOOPBACK}:{port.number}",
            "HUNTAZE_APIFY_TOKEN": SANDBOX_TOKEN,
            "HUNTAZE_APIFY_AUTHOR_KEYS": f"1:{_kept_secret(run.path / 'author-key', 24).encode().hex()}",
            "HUNTAZE_APIFY_WEBHOOK_SECRET": _kept_secret(run.path / "apify-webhook-secret", 24),
            "HUNTAZE_APIFY_POLL_S": "2",
            "HUNTAZE_APIFY_UNCLEAR_S": "3",
        }


async def _start_processes(
    supervisor: Supervisor, environment: dict[str, str], sessions: Sessions, ports: dict[str, int], *, exactly: bool
) -> str:
    """API, dispatcher, workers: what a video needs. Returns the API's URL; puts into `ports` which ones they have."""
    before = frozenset(await asyncio.to_thread(nodes, sessions))
    with ExitStack() as held, HeldPort(ports["api"]) as port:
        if exactly and port.number != ports["api"]:
            raise PortTaken(ports["api"])
        environment["HUNTAZE_API_PORT"] = str(port.number)
        if environment.get("HUNTAZE_APIFY_TOKEN") == SANDBOX_TOKEN:
            environment["HUNTAZE_APIFY_WEBHOOK_URL"] = f"http://{LOOPBACK}:{port.number}"
        own = _with_metrics("dispatcher", environment, ports, held)
        services = [
            service("api", ("-m", "huntaze.api"), environment, Stage.DOORS, answers(port.number, "/readyz")),
            service("dispatcher", (*_WORKER, "dispatcher"), own, Stage.WORK, spoke(sessions, before)),
        ]
        for name, queues in WORKERS.items():
            argv = (*_WORKER, "worker", "--queues", queues)
            ready = spoke(sessions, before, "worker", tuple(queues.split(",")))
            own = _with_metrics(name, environment, ports, held)
            services.append(service(name, argv, own, Stage.WORK, ready))
        await supervisor.start(*services)
        return f"http://{LOOPBACK}:{port.number}"


async def start_operators(supervisor: Supervisor, fleet: Fleet) -> str:
    """Beat and Flower: what a day needs, and no single video. Returns Flower's URL. Raises StackError."""
    environment = {**os.environ, **fleet.environment}
    before = frozenset(await asyncio.to_thread(nodes, fleet.sessions))
    with ExitStack() as held, HeldPort(fleet.ports["flower"]) as port:
        environment["HUNTAZE_FLOWER_PORT"] = str(port.number)
        own = _with_metrics("beat", environment, fleet.ports, held)
        beat = service("beat", (*_WORKER, "beat"), own, Stage.DOORS, spoke(fleet.sessions, before, "beat"))
        ready = answers(port.number, "/healthcheck")
        await supervisor.start(beat, service("flower", (*_WORKER, "flower"), environment, Stage.DOORS, ready))
        return f"http://{LOOPBACK}:{port.number}"


def _with_metrics(name: str, environment: dict[str, str], ports: dict[str, int], held: ExitStack) -> dict[str, str]:
    """The environment of a process with a port for its own /metrics, which is held until it listens."""
    ports[name] = held.enter_context(HeldPort(ports[name])).number
    return {**environment, "HUNTAZE_WORKER_METRICS_PORT": str(ports[name])}
