"""Billing: invoices a second, the memory of a worker, events placed a second, and the audit of a large ledger."""

import time
from dataclasses import dataclass

from benchmarks.rig import billing_rows
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.models import billing_audit, event_store

PARTS = ("run", "memory", "events", "audit")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    due: int
    few_due: int
    workers: tuple[int, ...]
    entries: int


FULL = Sizes(100_000, 10_000, (1, 2, 4), 1_000_000)
QUICK = Sizes(2_000, 400, (1, 2), 30_000)


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named. `events` places what `run` told, so it comes after it."""
    report, sizes = Report("billing"), QUICK if options.quick else FULL
    report.sizes = {name: getattr(sizes, name) for name in Sizes.__dataclass_fields__}
    parts = options.only or PARTS
    with rig() as stores:
        report.versions = stores.store_versions()
        if "run" in parts:
            _run(stores, report, sizes)
        if "events" in parts:
            _events(stores, report, sizes)
        if "memory" in parts:
            _memory(stores, report, sizes)
        if "audit" in parts:
            _audit(stores, report, sizes)
    return report


def _run(rig: Rig, report: Report, sizes: Sizes) -> None:
    for workers in sizes.workers:
        billing_rows.fill(rig, sizes.due)
        billed = billing_rows.bill(rig, workers)
        assert billed.invoices == sizes.due
        rate = billed.invoices / billed.seconds
        report.note(f"{workers} workers: {rate:,.0f} invoices/s")
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        report.add(f"invoices_{workers}_per_s", rate, "/s", f"invoices of two lines, {name}", "1,000 on 2 cores")
        cpu_ms = 1000 * billed.cpu_s / billed.invoices
        report.add(f"cpu_{workers}_ms", cpu_ms, "ms", f"CPU of the workers an invoice, {name}")
    with rig.sessions() as session:
        report.add(
            "differences", len(billing_audit.differences(session)), "", "the audit's differences after that", "0"
        )


def _events(rig: Rig, report: Report, sizes: Sizes) -> None:
    billing_rows.fill(rig, sizes.due)
    billing_rows.bill(rig, max(sizes.workers))
    placed, begun = 0, time.perf_counter()
    while True:
        with rig.sessions.begin() as session:
            some = event_store.place(session)
        placed += some
        if not some:
            break
    report.add("events_per_s", placed / (time.perf_counter() - begun), "/s", "events placed in the stream")


def _memory(rig: Rig, report: Report, sizes: Sizes) -> None:
    held = {}
    for due in (sizes.few_due, sizes.due):
        billing_rows.fill(rig, due)
        held[due] = billing_rows.bill(rig, 1).rss_mb
        report.add(f"rss_{due}_mb", held[due], "MB", f"most memory of a worker, {due:,} due")
    growth = held[sizes.due] / held[sizes.few_due]
    report.add("rss_growth", growth, "x", f"the same, {sizes.due:,} over {sizes.few_due:,}", "1")


def _audit(rig: Rig, report: Report, sizes: Sizes) -> None:
    billing_rows.fill_books(rig, sizes.entries)
    begun = time.perf_counter()
    with rig.sessions() as session:
        found = billing_audit.differences(session)
    assert not found, found[:3]
    report.add("audit_s", time.perf_counter() - begun, "s", f"audit of {sizes.entries:,} ledger entries")


if __name__ == "__main__":
    main()
