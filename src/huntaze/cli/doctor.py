"""`huntaze doctor`: is this configuration usable, and if not, what is to be done."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated

import redis
import typer
from sqlalchemy import Engine, text

from huntaze.cli.doctor_ai import examine_ai
from huntaze.cli.doctor_sources import examine_sources
from huntaze.cli.findings import Finding
from huntaze.cli.here import settings_here
from huntaze.cli.output import out, print_json, print_line
from huntaze.cli.periodic import EntryFacts, facts_of
from huntaze.cli.queues import Stranded, find_stranded
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import node_store, schema
from huntaze.models.database import build_engine, build_sessions
from huntaze.pipelines.errors import HuntazeError
from huntaze.settings import Settings

_PROCESSES = ("worker", "dispatcher", "beat")


def doctor(json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> None:
    """Check the settings, every store and the processes. Exit code 1 where something has to be done."""
    findings = list(examine(settings_here()))
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = (
                "[green]ok  [/green]"
                if finding.ok
                else "[yellow]warn[/yellow]"
                if finding.warning
                else "[red]FAIL[/red]"
            )
            out.print(f"{mark}  {finding.check}: ", end="")
            print_line(finding.detail)
            if not finding.ok:
                print_line(f"      -> {finding.fix}")
    raise typer.Exit(0 if all(finding.ok or finding.warning for finding in findings) else 1)


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, one after the other; each stands by itself."""
    yield Finding("settings", True, "complete")
    for name, check in (("postgresql", _database), ("redis", _broker), ("s3", _objects), ("ai", _models)):
        yield from _guarded(name, check, settings)


def _guarded(name: str, check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except HuntazeError as error:
        yield Finding(name, False, error.message, "See the HUNTAZE_S3_* variables in .env.example.")
    except Exception as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
        variable = {"postgresql": "HUNTAZE_DATABASE_URL", "redis": "HUNTAZE_REDIS_URL"}.get(name, "its settings")
        yield Finding(name, False, f"{type(error).__name__}: {reason[0][:200]}", f"Is it running? Check {variable}.")


def _database(settings: Settings) -> Iterator[Finding]:
    engine = build_engine(settings.database.sqlalchemy_url, pool_size=1, application="huntaze-doctor")
    try:
        yield from _ledger(engine, settings)
    finally:
        engine.dispose()


def _ledger(engine: Engine, settings: Settings) -> Iterator[Finding]:
    with engine.connect() as connection:
        version = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    yield Finding("postgresql", version >= 16, f"version {version}", "Upgrade the server to 16 or newer.")
    have, want = schema.revisions(engine)
    yield Finding("schema", have == want, f"at {have or 'nothing'}, code wants {want}", "Run huntaze db upgrade.")
    if have != want:
        return
    with build_sessions(engine)() as session:
        beats = node_store.alive(session)
        stranded = find_stranded(session)
        entries = facts_of(session)
        scraping = list(examine_sources(session, settings.apify))
    for process in _PROCESSES:
        count = sum(beat.process == process for beat in beats)
        fix = f"Start one: huntaze {process}"
        yield Finding(process, count > 0, f"{count} alive", fix, warning=True)
    yield from _strandings(stranded)
    yield from _lateness(entries)
    yield from scraping


def _strandings(stranded: list[Stranded]) -> Iterator[Finding]:
    if not stranded:
        yield Finding("kinds", True, "every job that is due has a worker that knows its kind")
    for one in stranded:
        fix = f"Start workers of a release that knows {one.kind} version {one.version}; see huntaze queues list."
        yield Finding("kinds", False, str(one), fix, warning=True)


def _lateness(entries: list[EntryFacts]) -> Iterator[Finding]:
    late = [one.trouble for one in entries if one.trouble]
    if not late:
        yield Finding("schedule", True, "every slot that is due has its job")
    fix = "Beat and a worker of queue default must run. See huntaze periodic list."
    for trouble in late:
        yield Finding("schedule", False, trouble, fix, warning=True)


def _broker(settings: Settings) -> Iterator[Finding]:
    client = redis.Redis.from_url(settings.redis.url.get_secret_value(), socket_timeout=3, socket_connect_timeout=3)
    with client:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "unknown")
    fix = "Set maxmemory-policy to noeviction: a broker that evicts loses messages without a word."
    yield Finding("redis", policy == "noeviction", f"answers, maxmemory-policy {policy}", fix, warning=True)


def _objects(settings: Settings) -> Iterator[Finding]:
    store = S3ObjectStore(settings.s3)
    store.check()
    yield Finding("s3", True, f"bucket {settings.s3.bucket} answers")


def _models(settings: Settings) -> Iterator[Finding]:
    yield from examine_ai(settings.ai)
