"""`POST /v1/videos` against a real API process: how many a second it takes, and how long one waits."""

import json
import socket
from typing import Any

import httpx
from sqlalchemy import text

from benchmarks.rig.http_load import Load, Seen
from benchmarks.rig.http_load import run as send
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options, percentile
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import user_store

RATE = 200.0
_CONNECTIONS = 16


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def run(options: Options) -> Report:
    """At saturation, then at a steady rate. Only the API runs: what it writes stays waiting."""
    report, seconds = Report("api"), 6.0 if options.quick else 30.0
    report.sizes = {"seconds": seconds, "connections": _CONNECTIONS, "steady_rate": RATE}
    with rig(s3=True) as stores:
        report.versions = stores.store_versions()
        load = _prepare(stores, seconds)
        send(Load(**{**load, "seconds": 2.0}))  # connections, caches and plans are made
        report.note(f"{_CONNECTIONS} connections for {seconds:g} s")
        saturated = send(Load(**load))
        report.note(f"{RATE:g} requests a second for {seconds:g} s")
        steady = send(Load(**load, rate=RATE))
        _check(stores, report, saturated, steady)
    _add(report, saturated, steady)
    return report


def _prepare(stores: Rig, seconds: float) -> dict[str, Any]:
    """A creator, a key, an object, an API that answers; returns the load's arguments."""
    objects = S3ObjectStore(stores.settings.s3)
    objects.ensure_bucket()
    with stores.sessions.begin() as session:
        creator = user_store.ensure_user(session, "bench")
        _, key = user_store.create_key(session, creator.id, "bench")
    object_key = f"creators/{creator.id}/uploads/source.mp4"
    objects.put(object_key, b"\0" * 4096, "video/mp4")
    objects.close()
    with HeldPort() as port:
        stores.start("api", "huntaze.api", "--port", str(port.number))
        stores.until(lambda: _listens(port.number), "the API", 30)
    url = f"http://{LOOPBACK}:{port.number}/v1/videos"
    body = json.dumps({"object_key": object_key})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    first = httpx.post(url, content=body, headers=headers, trust_env=False)
    assert first.status_code == 202, first.text
    return {
        "host": LOOPBACK,
        "port": port.number,
        "path": "/v1/videos",
        "key": key,
        "body": body,
        "seconds": seconds,
        "connections": _CONNECTIONS,
    }


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


def _add(report: Report, saturated: Seen, steady: Seen) -> None:
    waits = [1000 * one for one in saturated.latencies]
    about = f"enqueue, {_CONNECTIONS} connections"
    report.add("enqueue_per_s", len(waits) / saturated.seconds, "/s", f"{about}: requests")
    report.add("enqueue_p50_ms", percentile(waits, 0.5), "ms", f"{about}: p50")
    report.add("enqueue_p99_ms", percentile(waits, 0.99), "ms", f"{about}: p99")
    waits = [1000 * one for one in steady.latencies]
    about = f"enqueue, {RATE:g} a second"
    report.add("steady_per_s", len(waits) / steady.seconds, "/s", f"{about}: answered", f"{RATE:g}")
    report.add("steady_p50_ms", percentile(waits, 0.5), "ms", f"{about}: p50")
    report.add("steady_p99_ms", percentile(waits, 0.99), "ms", f"{about}: p99")
    errors = sum(saturated.errors.values()) + sum(steady.errors.values())
    report.add("errors", errors, "", "requests that were not accepted", "0")


if __name__ == "__main__":
    main()
