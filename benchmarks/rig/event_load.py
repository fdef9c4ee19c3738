"""Batches of events against a real API process, sent from another one: gzip NDJSON, 5,000 events each."""

import gzip
import json
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
from sqlalchemy import text

from benchmarks.rig.cpu import cpu_seconds
from benchmarks.rig.processes import Rig
from benchmarks.rig.report import Report
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.models import user_store
from huntaze.models.base import new_id

BATCH = 5000
_CLIENTS = 2  # that send at once, as fast as they are answered


def measure(stores: Rig, report: Report, seconds: float) -> None:
    """How many events a second the API takes, what it costs, and whether all are there."""
    with stores.sessions.begin() as session:
        creator = user_store.ensure_user(session, "bench-events")
        _, key = user_store.create_key(session, creator.id, "bench")
    with HeldPort() as port:
        stores.start("api", "huntaze.api", "--port", str(port.number))
        stores.until(lambda: _listens(port.number), "the API", 30)
    report.note(f"{_CLIENTS} clients send {BATCH:,} events a request for {seconds:g} s")
    argv = [sys.executable, "-m", "benchmarks.rig.event_load", str(port.number), key, str(seconds)]
    cpu = cpu_seconds(stores.running["api"].pid)
    senders = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(_CLIENTS)]
    sent = [json.loads(sender.communicate()[0]) for sender in senders]
    spent = cpu_seconds(stores.running["api"].pid) - cpu
    events = BATCH * sum(len(one["waits"]) for one in sent)
    with stores.engine.connect() as connection:
        facts = int(connection.execute(text("SELECT count(*) FROM analytics_facts")).scalar_one())
    if facts != events:
        raise RuntimeError(f"{events} events were accepted, and {facts} facts are there")
    waits = sorted(1000 * wait for one in sent for wait in one["waits"])
    took = max(one["seconds"] for one in sent)
    report.add("api_events_per_s", events / took, "/s", "events taken by the API, 5,000 a request, gzip", "> 20,000")
    report.add("api_batch_p50_ms", waits[len(waits) // 2], "ms", "  a request of 5,000: p50")
    report.add("api_cpu_us", 1e6 * spent / events, "µs", "  CPU of the API an event")
    stores.stop("api")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _body() -> bytes:
    now = datetime.now(UTC).isoformat()
    events = (
        {
            "id": str(new_id()),
            "metric": "content.views",
            "label": f"c-{n % 20}",
            "person": f"f-{n % 900}",
            "occurred_at": now,
        }
        for n in range(BATCH)
    )
    return gzip.compress("\n".join(map(json.dumps, events)).encode(), compresslevel=1)


def _send(port: int, key: str, seconds: float) -> None:
    bodies = [_body() for _ in range(int(12 * seconds))]  # made before: the sender shares the cores with the API
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    waits: list[float] = []
    with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", headers=headers, timeout=60, trust_env=False) as client:
        begun = time.perf_counter()
        while bodies and time.perf_counter() - begun < seconds:
            asked = time.perf_counter()
            answer = client.post("/v1/analytics/events", content=bodies.pop())
            assert answer.json()["accepted"] == BATCH, answer.text
            waits.append(time.perf_counter() - asked)
        print(json.dumps({"waits": waits, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    _send(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
