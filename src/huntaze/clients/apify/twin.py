"""The twin: a vendor in memory, with the faults that tests ask for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from huntaze.clients.apify.runner import ActorRun, ItemPage, NoSuchRun, RunOrder, RunStatus


@dataclass
class MemoryActorRunner:
    """Runs stay as they are until `end` is called. `orders`: every start that took place.

    `before_start` and `after_start` may raise what a start should raise: without, and with a run made.
    """

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    before_start: list[Exception] = field(default_factory=list)
    after_start: list[Exception] = field(default_factory=list)
    keeps_mark: bool = True
    orders: list[RunOrder] = field(default_factory=list)
    runs: dict[str, ActorRun] = field(default_factory=dict)
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    datasets: dict[str, list[object]] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    skipped: Callable[[int], bool] = lambda _: False  # offsets that a clean page leaves out

    def start(self, order: RunOrder) -> ActorRun:
        if self.before_start:
            raise self.before_start.pop(0)
        self.orders.append(order)
        id = f"run{len(self.runs) + 1}"
        mark = order.mark if self.keeps_mark else None
        run = ActorRun(id, RunStatus.RUNNING, self.clock(), f"set-{id}", f"store-{id}", order.build or "1.0.1", 0, mark)
        self.runs[id], self.inputs[id], self.datasets[run.dataset_id] = run, dict(order.input), []
        if self.after_start:
            raise self.after_start.pop(0)
        return run

    def end(self, run_id: str, items: Sequence[object], status: str = "SUCCEEDED", cost_micro_usd: int = 1000) -> None:
        """The run comes to its end with these items."""
        self.runs[run_id] = replace(self.runs[run_id], status=status, cost_micro_usd=cost_micro_usd)
        self.datasets[self.runs[run_id].dataset_id] = list(items)

    def get(self, run_id: str) -> ActorRun:
        if run_id not in self.runs:
            raise NoSuchRun("such run")
        return self.runs[run_id]

    def recent(self, actor: str, since: datetime) -> Iterator[ActorRun]:  # noqa: ARG002 - every run here is the actor's
        found = [run for run in self.runs.values() if run.started_at >= since]
        yield from sorted(found, key=lambda run: run.started_at, reverse=True)

    def is_of(self, run: ActorRun, order: RunOrder) -> bool:
        return run.mark == order.mark if run.mark is not None else self.inputs[run.id] == order.input

    def items(self, dataset_id: str, offset: int, limit: int) -> ItemPage:
        if dataset_id not in self.datasets:
            raise NoSuchRun("such dataset")
        whole = self.datasets[dataset_id]
        page = [item for at, item in enumerate(whole) if offset <= at < offset + limit and not self.skipped(at)]
        return ItemPage(page, offset, offset + limit, len(whole))

    def abort(self, run_id: str) -> None:
        self.aborted.append(run_id)
        self.runs[run_id] = replace(self.get(run_id), status=RunStatus.ABORTING)
