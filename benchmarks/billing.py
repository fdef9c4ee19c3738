"""Billing: invoices a second, a worker's memory, events and deliveries a second, and the audit of a large ledger."""

import time
from dataclasses import dataclass

from benchmarks.rig import billing_rows, deliveries
from benchmarks.rig.billing_rows import Billed
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.models import billing_audit, event_store

PARTS = ("run", "events", "memory", "deliveries", "audit")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    due: int
    few_due: int
    workers: tuple[int, ...]
    deliveries: int
    entries: int


FULL = Sizes(100_000, 10_000, (1, 2, 4), 3_000, 1_000_000)
QUICK = Sizes(2_000, 400, (1, 2), 500, 30_000)


def main() -> None:
    options = parse_options(__doc__ or "", PARTS)
    run(options).print(options)


def run(options: Options) -> Report:
    """All parts, or those that were named. `events` and `memory` look at what `run` did, where it was named too."""
    report, sizes = Report("billing"), QUICK if options.quick else FULL
    report.sizes = {name: getattr(sizes, name) for name in Sizes.__dataclass_fields__}
    parts = options.only or PARTS
    with rig() as stores:
        report.versions = stores.store_versions()
        billed = _run(stores, report, sizes) if "run" in parts else {}
        if "events" in parts:
            _events(stores, report, sizes, fresh=not billed)
        if "memory" in parts:
            _memory(stores, report, sizes, billed.get(1))
        if "deliveries" in parts:
            _deliveries(stores, report, sizes)
        if "audit" in parts:
            _audit(stores, report, sizes)
    return report


def _bill(rig: Rig, report: Report, due: int, workers: int) -> Billed:
    report.note(f"{due:,} subscriptions")
    billing_rows.fill(rig, due)
    report.note(f"{workers} workers bill them")
    billed = billing_rows.bill(rig, workers)
    assert billed.invoices == due
    report.note(f"{billed.invoices / billed.seconds:,.0f} invoices/s")
    return billed


def _run(rig: Rig, report: Report, sizes: Sizes) -> dict[int, Billed]:
    """{workers: what they did}; the last one's invoices stay."""
    found = {}
    for workers in sizes.workers:
        billed = found[workers] = _bill(rig, report, sizes.due, workers)
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        rate = billed.invoices / billed.seconds
        report.add(f"invoices_{workers}_per_s", rate, "/s", f"invoices of two lines, {name}", "1,000 on 2 cores")
        cpu_ms = 1000 * billed.cpu_s / billed.invoices
        report.add(f"cpu_{workers}_ms", cpu_ms, "ms", f"CPU of the workers an invoice, {name}")
    report.note("audit of what they made")
    with rig.sessions() as session:
        found_wrong = len(billing_audit.differences(session))
    report.add("differences", found_wrong, "", "gaps, doubles and other differences of the audit after that", "0")
    return found


def _events(rig: Rig, report: Report, sizes: Sizes, *, fresh: bool) -> None:
    if fresh:
        _bill(rig, report, sizes.due, max(sizes.workers))
    report.note("placing events")
    placed, some, begun = 0, 1, time.perf_counter()
    while some:
        with rig.sessions.begin() as session:
            some = event_store.place(session)
        placed += some
    report.add("events_per_s", placed / (time.perf_counter() - begun), "/s", "events placed in the stream")


def _memory(rig: Rig, report: Report, sizes: Sizes, many: Billed | None) -> None:
    held = {sizes.few_due: _bill(rig, report, sizes.few_due, 1).rss_mb}
    held[sizes.due] = (many or _bill(rig, report, sizes.due, 1)).rss_mb
    for due, rss_mb in held.items():
        report.add(f"rss_{due}_mb", rss_mb, "MB", f"most memory of a worker, {due:,} due")
    growth = held[sizes.due] / held[sizes.few_due]
    report.add("rss_growth", growth, "x", f"the same, {sizes.due:,} over {sizes.few_due:,}", "1")


def _deliveries(rig: Rig, report: Report, sizes: Sizes) -> None:
    report.note(f"{sizes.deliveries:,} deliveries by a fleet of two worker nodes")
    told = deliveries.tell(rig, sizes.deliveries)
    report.add("fan_out_per_s", told.events / told.placed_s, "/s", "events fanned out, each a delivery with its job")
    what = "deliveries over HTTP, from the events' commit to the last answer booked"
    report.add("deliveries_per_s", told.events / told.told_s, "/s", what)


def _audit(rig: Rig, report: Report, sizes: Sizes) -> None:
    report.note(f"books of {sizes.entries:,} entries")
    billing_rows.fill_books(rig, sizes.entries)
    report.note("audit")
    begun = time.perf_counter()
    with rig.sessions() as session:
        found = billing_audit.differences(session)
    assert not found, found[:3]
    report.add("audit_s", time.perf_counter() - begun, "s", f"audit of {sizes.entries:,} ledger entries")


if __name__ == "__main__":
    main()
