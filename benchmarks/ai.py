"""The AI gateway: what it adds to a call, what equal questions cost, how fast a kept answer is, what it is to import.

`--only peers` installs litellm and openai into environments of their own, in the user's cache, and imports them too.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
from sqlalchemy import text

from benchmarks import ai_budget
from benchmarks.peers.ai_clients import imported, peers
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, median, parse_options, percentile
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.clients.ai.build import build_gateway
from huntaze.clients.ai.configured import routes_of
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.twins import MemoryBudget
from huntaze.clients.ai.wire import HttpWire
from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.database import build_engine, build_sessions
from huntaze.pipelines.ai.calls import Caller, ChatRequest
from huntaze.setting_groups import AISettings

PARTS = ("overhead", "flight", "hits", "import", "budget", "peers")
CROWD = 1000
_OURS = ("huntaze.clients.ai.gateway", "huntaze.clients.ai.build")


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts but `peers`, or those that were named."""
    report, calls = Report("ai"), 150 if options.quick else 1500
    report.sizes = {"calls": calls, "crowd": CROWD, "hits": calls * 2}
    parts = options.only or PARTS[:-1]
    if {"overhead", "flight", "hits"} & set(parts):
        with rig() as stores, sandbox(stores) as url:
            report.versions = stores.store_versions()
            if "overhead" in parts:
                _overhead(stores, report, url, calls)
            if "flight" in parts:
                _flight(stores, report, url)
            if "hits" in parts:
                _hits(stores, report, url, calls * 2)
    if "import" in parts or "peers" in parts:
        _imports(report, 3 if options.quick else 9, with_peers="peers" in parts)
    if "budget" in parts:
        report.include(ai_budget.run(options))
    return report


@contextmanager
def sandbox(stores: Rig) -> Iterator[str]:
    with HeldPort() as port:
        stores.start("sandbox", "huntaze.cli.sandbox_ai", "--port", str(port.number))
        url = f"http://{LOOPBACK}:{port.number}"
        stores.until(lambda: answers(f"{url}/healthz"), "the sandbox", 30)
    yield f"{url}/v1"
    stores.stop("sandbox")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def _gateway(stores: Rig, url: str, model: str = "sandbox-text", connections: int = 10) -> Iterator[Gateway]:
    """As a process of the fleet builds it: ledger in PostgreSQL, cache, flight, breaker and limits in Redis."""
    database = stores.settings.database.sqlalchemy_url
    engine = build_engine(database, pool_size=connections, application="bench", isolation_level="AUTOCOMMIT")
    settings = AISettings(base_url=url, model=model)
    gateway = build_gateway(settings, stores.settings.redis, BudgetLedger(build_sessions(engine)))
    yield gateway
    gateway.close()
    engine.dispose()


def _ask(what: object) -> ChatRequest:
    return ChatRequest("generate", f"Question {what}: what shall I answer?", system="Be kind.", max_tokens=50)


def _overhead(stores: Rig, report: Report, url: str, calls: int) -> None:
    """Bare httpx, the gateway without stores, and the gateway of a fleet, in turns: a neighbour slows all of them.
    And one durable commit alone, of which each call needs one: money that is not on the disk is not reserved."""
    report.note(f"{calls} calls by each way, in turns")
    memory = Gateway(routes_of(AISettings(base_url=url, model="sandbox-text")), HttpWire(), MemoryBudget())
    seconds: dict[str, list[float]] = {"bare": [], "memory": [], "fleet": [], "commit": []}
    with _gateway(stores, url) as fleet, httpx.Client(trust_env=False) as http, _commits(stores) as commit:
        ways = {
            "bare": lambda ask: _bare(http, url, ask),
            "memory": lambda ask: memory.complete(ask, Caller(cache_s=0)),
            "fleet": lambda ask: fleet.complete(ask, Caller()),
            "commit": lambda _: commit(),
        }
        for number in range(-10, calls):  # the first ones make connections and plans
            for name, way in ways.items():
                begun = time.perf_counter()
                way(_ask(f"{name} {number}"))
                if number >= 0:
                    seconds[name].append(1000 * (time.perf_counter() - begun))
    bare = {share: percentile(seconds["bare"], share) for share in (0.5, 0.99)}
    for share, percent in ((0.5, "p50"), (0.99, "p99")):
        report.add(f"bare_{percent}_ms", bare[share], "ms", f"a call of the sandbox by bare httpx, {percent}")
        for name, about in (("memory", "without stores"), ("fleet", "with ledger, cache, flight, breaker, limits")):
            more = percentile(seconds[name], share) - bare[share]
            target = "< 3 ms" if (name, percent) == ("fleet", "p50") else ""
            report.add(f"overhead_{name}_{percent}_ms", more, "ms", f"the gateway {about}: more, {percent}", target)
        told = f"one durable commit of one row alone, {percent}"
        report.add(f"commit_{percent}_ms", percentile(seconds["commit"], share), "ms", told)


@contextmanager
def _commits(stores: Rig) -> Iterator[Callable[[], object]]:
    """Writes a row and waits until it is on the disk: what PostgreSQL and its disk need, with nothing of ours."""
    with psycopg.connect(stores.settings.database.libpq_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_commit (at timestamptz)")
        yield lambda: connection.execute("INSERT INTO bench_commit VALUES (clock_timestamp())")


def _bare(http: httpx.Client, url: str, ask: ChatRequest) -> str:
    messages = [{"role": "system", "content": ask.system}, {"role": "user", "content": ask.prompt}]
    body = {"model": "sandbox-text", "messages": messages, "max_tokens": ask.max_tokens, "temperature": 0}
    answer = http.post(f"{url}/chat/completions", content=json.dumps(body))
    return str(answer.json()["choices"][0]["message"]["content"])


def _flight(stores: Rig, report: Report, url: str) -> None:
    """A crowd asks the same at once, through two gateways that share nothing but the stores."""
    report.note(f"{CROWD} equal questions at once")
    model = "sandbox-text+latency=500"
    with _gateway(stores, url, model, 20) as one, _gateway(stores, url, model, 20) as other:
        together = threading.Barrier(CROWD + 1)

        def ask(number: int) -> str:
            gateway = (one, other)[number % 2]
            together.wait()
            return gateway.complete(_ask("of the crowd"), Caller()).text

        with ThreadPoolExecutor(CROWD) as pool:
            asking = [pool.submit(ask, number) for number in range(CROWD)]
            together.wait()
            begun = time.perf_counter()
            answers = {one.result() for one in asking}
            seconds = time.perf_counter() - begun
    if len(answers) != 1:
        raise RuntimeError(f"the crowd was given {len(answers)} different answers")
    with stores.engine.connect() as connection:
        made = text("SELECT count(*) FROM usage_logs WHERE NOT cache_hit AND latency_ms >= 500")
        report.add("crowd_calls", int(connection.execute(made).scalar_one()), "", f"calls for {CROWD} questions", "1")
    report.add("crowd_s", seconds, "s", "until all have their answer, of which the call takes 0.5")


def _hits(stores: Rig, report: Report, url: str, hits: int) -> None:
    report.note(f"{hits} hits")
    with _gateway(stores, url) as gateway:
        caller, waits, pieces = Caller(), list[float](), list[float]()
        for number in range(-5, hits):
            begun = time.perf_counter()
            gateway.complete(_ask("again"), caller)
            if number >= 0:
                waits.append(1000 * (time.perf_counter() - begun))
        for _ in range(hits // 4):
            begun = time.perf_counter()
            stream = gateway.stream(_ask("again"), caller)
            next(stream)
            pieces.append(1000 * (time.perf_counter() - begun))
            list(stream)
    for share, percent, target in ((0.5, "p50", ""), (0.95, "p95", "< 50 ms")):
        report.add(f"hit_{percent}_ms", percentile(waits, share), "ms", f"a kept answer, noted: {percent}", target)
    report.add("hit_stream_p95_ms", percentile(pieces, 0.95), "ms", "a kept answer, streamed: first piece, p95")


def _imports(report: Report, rounds: int, *, with_peers: bool) -> None:
    """In a process of its own each time; the best of them, as a neighbour only makes it slower."""
    modules = [(name, None) for name in (*_OURS, "httpx")]
    if with_peers:
        report.note("installing peers")
        modules += [(name, python) for name, python in peers(report.note).items()]
    for name, python in modules:
        found = [imported(name, python) for _ in range(rounds)]
        short = name.removeprefix("huntaze.clients.ai.").replace(".", "_")
        target = "< 0.3 s" if name == _OURS[0] else ""
        report.add(f"import_{short}_s", min(one.seconds for one in found), "s", f"import {name}", target)
        report.add(f"import_{short}_cpu_s", min(one.cpu_s for one in found), "s", "  of a core")
        report.add(f"import_{short}_mib", median([one.mib for one in found]), "MiB", "  resident afterwards")


if __name__ == "__main__":
    main()
