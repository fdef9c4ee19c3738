"""The port of whoever runs scrapers: start a run, ask how it is, read what it found."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from huntaze.pipelines.errors import Permanent, Transient


class StartUnclear(Transient):
    """The answer to a start is not known: there may be a run, and it may cost. Never to be sent again without a look
    at the actor's recent runs."""

    def __init__(self, reason: str) -> None:
        super().__init__("apify.start_unclear", f"It is not known whether the run was started: {reason}.")
        self.reason = reason

    def __reduce__(self) -> tuple[type["StartUnclear"], tuple[str]]:  # type: ignore[override]
        return (StartUnclear, (self.reason,))


class NoSuchRun(Permanent):
    """The vendor knows no such run, dataset or actor."""

    def __init__(self, what: str) -> None:
        super().__init__("apify.not_found", f"Apify knows no {what}.")
        self.what = what

    def __reduce__(self) -> tuple[type["NoSuchRun"], tuple[str]]:  # type: ignore[override]
        return (NoSuchRun, (self.what,))


class RunStatus(enum.StrEnum):
    """The vendor's words. A status that is not among them is taken for one that moves."""

    READY = "READY"
    RUNNING = "RUNNING"
    TIMING_OUT = "TIMING-OUT"
    ABORTING = "ABORTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED-OUT"
    ABORTED = "ABORTED"


ENDED = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED})


@dataclass(frozen=True)
class RunOrder:
    """What is asked for. `mark` is ours alone: by it the run is known again. Money in micro-USD."""

    actor: str  # owner/name
    input: Mapping[str, Any]
    mark: str
    max_items: int
    max_charge_micro_usd: int
    memory_mb: int
    timeout_s: int
    build: str | None = None
    webhook_url: str | None = None


@dataclass(frozen=True)
class ActorRun:
    """A run as the vendor tells of it. `cost_micro_usd`: rounded up; None where it is not told."""

    id: str
    status: str
    started_at: datetime
    dataset_id: str
    input_store_id: str | None
    build: str | None
    cost_micro_usd: int | None
    mark: str | None = None  # of the order, if the vendor kept it

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        return self.status == RunStatus.SUCCEEDED


@dataclass(frozen=True)
class ItemPage:
    """Items from `offset` on. A page can hold fewer than it covers: the next one begins at `next_offset`."""

    items: list[object]
    offset: int
    next_offset: int
    total: int


class ActorRunner(Protocol):
    """Raises Transient (`apify.unavailable`, `apify.timeout`, `apify.rate_limited`, `apify.bad_response`), Permanent
    (`apify.refused`), NoSuchRun."""

    def start(self, order: RunOrder) -> ActorRun:
        """Starts a run, once. Raises StartUnclear where it cannot be told whether there is one now; after any other
        error there is none."""
        ...

    def get(self, run_id: str) -> ActorRun: ...

    def recent(self, actor: str, since: datetime) -> Iterator[ActorRun]:
        """The actor's runs that were started at `since` or later, newest first."""
        ...

    def is_of(self, run: ActorRun, order: RunOrder) -> bool:
        """Whether this order started this run: by the mark, or, where the vendor kept none, by the input."""
        ...

    def items(self, dataset_id: str, offset: int, limit: int) -> ItemPage: ...

    def abort(self, run_id: str) -> None:
        """Asks the run to end. Repeating does no harm."""
        ...
