"""The engine against plain Celery and Procrastinate, on the same machine, broker and database, in one run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from benchmarks.peers.celery_noop import PlainCelery
from benchmarks.peers.fleet import THREADS, Fleet, bulk
from benchmarks.peers.procrastinate_noop import CONCURRENCY, Procrastinate
from benchmarks.rig import backlog, dispatch, idle
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, median, parse_options, percentile

PARTS = ("dispatch", "bulk", "idle", "fleet", "celery", "procrastinate")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    jobs: int
    rounds: int
    rate: float
    latency_s: float
    bulk_rows: int
    backlogs: tuple[int, ...]
    flow_keys: int
    dispatch_rounds: int
    idle_s: float


FULL = Sizes(10_000, 3, 50.0, 20.0, 10_000, (10_000, 100_000, 1_000_000), 10_000, 30, 30.0)
QUICK = Sizes(400, 1, 50.0, 3.0, 1000, (10_000, 100_000), 10_000, 10, 5.0)


class Peer(Protocol):
    """An engine with two worker processes that stand ready."""

    name: str

    def throughput(self, jobs: int) -> float: ...
    def latency(self, rate: float, seconds: float) -> list[float]: ...
    def close(self) -> None: ...


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named."""
    report, sizes = Report("engine"), QUICK if options.quick else FULL
    report.sizes = {name: getattr(sizes, name) for name in Sizes.__dataclass_fields__}
    report.sizes |= {"worker_processes": 2, "jobs_at_once_fleet": 2 * THREADS, "jobs_at_once_celery": 2}
    report.sizes["jobs_at_once_procrastinate"] = 2 * CONCURRENCY
    parts = options.only or PARTS
    with rig() as stores:
        report.versions = stores.store_versions()
        if "dispatch" in parts:
            _dispatch(stores, report, sizes, options.plan)
        if "bulk" in parts:
            _bulk(stores, report, sizes)
        if "idle" in parts:
            _idle(stores, report, sizes)
        for name, build in _peers(stores).items():
            if name.partition("_")[0] in parts:
                _peer(build, report, sizes)
    _compare(report)
    return report


def _peers(stores: Rig) -> dict[str, Callable[[], Peer]]:
    return {
        "fleet": lambda: Fleet(stores),
        "celery": lambda: PlainCelery(stores, events=False),
        "celery_events": lambda: PlainCelery(stores, events=True),
        "procrastinate": lambda: Procrastinate(stores),
    }


def _peer(build: Callable[[], Peer], report: Report, sizes: Sizes) -> None:
    peer = build()
    report.note(f"{peer.name}: {sizes.rounds} rounds of {sizes.jobs} no-ops, then {sizes.rate:g} a second")
    rates = [sizes.jobs / peer.throughput(sizes.jobs) for _ in range(sizes.rounds)]
    report.add(f"{peer.name}_noop_per_s", median(rates), "/s", f"{peer.name}: no-ops from a backlog of {sizes.jobs:,}")
    waits = [1000 * wait for wait in peer.latency(sizes.rate, sizes.latency_s)]
    about, target = f"{peer.name}: commit to start at {sizes.rate:g}/s", "< 15 ms" if peer.name == "fleet" else ""
    report.add(f"{peer.name}_start_p50_ms", percentile(waits, 0.5), "ms", f"{about}, p50", target)
    report.add(f"{peer.name}_start_p99_ms", percentile(waits, 0.99), "ms", f"{about}, p99")
    peer.close()


def _compare(report: Report) -> None:
    ours = report.figures.get("fleet_noop_per_s")
    targets = {"celery": ">= 0.7", "celery_events": "", "procrastinate": "> 1"}
    for name, target in targets.items():
        theirs = report.figures.get(f"{name}_noop_per_s")
        if ours and theirs:
            report.add(f"fleet_to_{name}", ours / theirs, "x", f"no-ops of the fleet over {name}'s", target)


def _dispatch(stores: Rig, report: Report, sizes: Sizes, plan: bool) -> None:
    costs = []
    with dispatch.standing_worker(stores):
        for rows in sizes.backlogs:
            report.note(f"dispatch rounds behind {rows:,} rows")
            found = dispatch.rounds(stores, rows, sizes.flow_keys, sizes.dispatch_rounds)
            spent = [1000 * one for one in found.seconds]
            costs.append(median(spent))
            about, name = f"dispatch round, {rows:,} waiting", f"dispatch_1e{round(math.log10(rows))}"
            report.add(f"{name}_ms", median(spent), "ms", f"{about}: median", "< 20 ms")
            report.add(f"{name}_max_ms", max(spent), "ms", f"{about}: worst of {len(spent)}")
            report.add(f"{name}_sent", median(found.sent), "", f"{about}: jobs sent")
        if plan:
            print("\n\n".join(dispatch.plans(stores)), end="\n\n")
    report.add("dispatch_growth", costs[-1] / costs[0], "x", "its growth, smallest to largest backlog", "about 1")
    backlog.clear(stores)


def _bulk(stores: Rig, report: Report, sizes: Sizes) -> None:
    report.note(f"bulk enqueue of {sizes.bulk_rows} rows")
    bulk(stores, 100)
    rates = [sizes.bulk_rows / bulk(stores, sizes.bulk_rows) for _ in range(sizes.rounds)]
    report.add("bulk_enqueue_per_s", median(rates), "rows/s", "bulk enqueue, one statement", "> 5,000")
    backlog.clear(stores)


def _idle(stores: Rig, report: Report, sizes: Sizes) -> None:
    report.note(f"an idle fleet for {sizes.idle_s:g} s")
    found = idle.measure(stores, sizes.idle_s)
    report.add("idle_percent", sum(found.percent.values()), "% of a core", "idle: dispatcher and workers", "< 1 %")
    for name, percent in found.percent.items():
        report.add(f"idle_{name.replace('-', '_')}_percent", percent, "% of a core", f"  {name}")
    report.add("idle_transactions_per_s", found.transactions_per_s, "/s", "idle: transactions of the database")


if __name__ == "__main__":
    main()
