"""`POST /v1/videos` against a real API process: how many a second it takes, and how long one waits."""

import json
import socket
from dataclasses import dataclass, replace

import httpx
from sqlalchemy import text

from benchmarks.rig.cpu import cpu_seconds
from benchmarks.rig.http_load import Load, Seen
from benchmarks.rig.http_load import run as send
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options, percentile
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import user_store

RATE = 200.0
_CONNECTIONS = 16
_OBJECTS = 50  # that the requests name in turn: requests for the same object wait for one another's commit


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


@dataclass(frozen=True)
class _Measured:
    """What the load saw, and the core seconds that the API had meanwhile."""

    seen: Seen
    api_s: float


def run(options: Options) -> Report:
    """At a steady rate, then at saturation. Only the API runs: what it writes stays waiting."""
    report, seconds = Report("api"), 6.0 if options.quick else 30.0
    report.sizes = {"seconds": seconds, "connections": _CONNECTIONS, "steady_rate": RATE, "objects": _OBJECTS}
    with rig(s3=True) as stores:
        report.versions = stores.store_versions()
        load = _prepare(stores, seconds)
        send(replace(load, seconds=2.0))  # connections, caches and plans are made
        report.note(f"{RATE:g} requests a second for {seconds:g} s")
        steady = _measure(stores, replace(load, rate=RATE))
        report.note(f"{_CONNECTIONS} connections for {seconds:g} s")
        saturated = _measure(stores, load)
        _check(stores, report, saturated.seen, steady.seen)
    _add(report, saturated, steady)
    return report


def _measure(stores: Rig, load: Load) -> _Measured:
    api = stores.running["api"].pid
    before = cpu_seconds(api)
    return _Measured(send(load), cpu_seconds(api) - before)


def _prepare(stores: Rig, seconds: float) -> Load:
    """A creator, a key, objects, an API that answers; returns the load at saturation."""
    objects = S3ObjectStore(stores.settings.s3)
    objects.ensure_bucket()
    with stores.sessions.begin() as session:
        creator = user_store.ensure_user(session, "bench")
        _, key = user_store.create_key(session, creator.id, "bench")
    names = [f"creators/{creator.id}/uploads/{n}/source.mp4" for n in range(_OBJECTS)]
    for name in names:
        objects.put(name, b"\0" * 4096, "video/mp4")
    objects.close()
    with HeldPort() as port:
        stores.start("api", "huntaze.api", "--port", str(port.number))
        stores.until(lambda: _listens(port.number), "the API", 30)
    bodies = [json.dumps({"object_key": name}) for name in names]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"http://{LOOPBACK}:{port.number}/v1/videos"
    first = httpx.post(url, content=bodies[0], headers=headers, trust_env=False)
    assert first.status_code == 202, first.text
    return Load(LOOPBACK, port.number, "/v1/videos", key, bodies, seconds, _CONNECTIONS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _check(stores: Rig, report: Report, saturated: Seen, steady: Seen) -> None:
    """What was answered with 202 is in the ledger, or nothing here is worth anything."""
    with stores.engine.connect() as connection:
        rows = int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())
    answered = len(saturated.latencies) + len(steady.latencies)
    if rows < answered:
        raise RuntimeError(f"{answered} requests were accepted, and only {rows} rows are there")
    for name, seen in (("saturated", saturated), ("steady", steady)):
        for error, count in seen.errors.items():
            report.note(f"{name}: {count} times {error}")


def _add(report: Report, saturated: _Measured, steady: _Measured) -> None:
    parts = (("steady", steady, f"{RATE:g} a second"), ("enqueue", saturated, f"{_CONNECTIONS} connections"))
    for name, measured, about in parts:
        waits, target = [1000 * one for one in measured.seen.latencies], f"{RATE:g}"
        report.add(f"{name}_per_s", len(waits) / measured.seen.seconds, "/s", f"enqueue, {about}: answered", target)
        report.add(f"{name}_p50_ms", percentile(waits, 0.5), "ms", f"enqueue, {about}: p50")
        report.add(f"{name}_p99_ms", percentile(waits, 0.99), "ms", f"enqueue, {about}: p99")
        cpu = 1000 * measured.api_s / len(waits)
        report.add(f"{name}_api_cpu_ms", cpu, "ms", f"enqueue, {about}: CPU of the API, a request")
    errors = sum(saturated.seen.errors.values()) + sum(steady.seen.errors.values())
    report.add("errors", errors, "", "requests that were not accepted", "0")


if __name__ == "__main__":
    main()
