"""The registry of metrics: what may be counted, in which unit, by what, and who may say so."""

import enum
from dataclasses import dataclass


class Door(enum.StrEnum):
    """Where a metric's facts come from. A figure has one source, or two sources would disagree about it."""

    OPEN = "open"  # callers of `POST /v1/analytics/events`
    OWN = "own"  # the domain that did it, in the transaction that did it
    LEDGER = "ledger"  # the billing ledger alone: what a dashboard shows is the audit's sum


@dataclass(frozen=True)
class Metric:
    """One metric. A fact of it counts as 1.

    `unit`: of the fact's value, an integer that is summed up; None: it has none. `label`: what its facts are told apart
    by; None: nothing. `persons`: distinct ones are counted. `spread`: values are 0 or more, and percentiles are kept.
    """

    name: str
    about: str
    unit: str | None = None
    label: str | None = None
    persons: bool = False
    spread: bool = False
    door: Door = Door.OPEN

    def __post_init__(self) -> None:
        if self.spread and self.unit is None:
            raise ValueError(f"{self.name} has no value of which there could be percentiles")


_ALL = (
    Metric("messages.sent", "messages that were sent; the person is the fan", persons=True),
    Metric("messages.response", "time from a fan's message to its answer", unit="ms", persons=True, spread=True),
    Metric("content.views", "content that was looked at", label="content", persons=True),
    Metric("logins", "logins of fans", persons=True),
    Metric("offers.shown", "offers that a fan has seen", label="offer", persons=True),
    Metric("web.requests", "requests to a web server", unit="bytes", label="status", persons=True, spread=True),
    Metric("videos.uploaded", "videos that were uploaded", unit="bytes", door=Door.OWN),
    Metric("ai.calls", "calls to a model", unit="ms", label="outcome", spread=True, door=Door.OWN),
    Metric("ai.cost", "what calls to a model cost", unit="micro-USD", label="model", door=Door.OWN),
    Metric("subscriptions.started", "subscriptions that began", label="plan", persons=True, door=Door.OWN),
    Metric("subscriptions.ended", "subscriptions that ended", label="plan", persons=True, door=Door.OWN),
    Metric("offers.redeemed", "offers that were taken", label="offer", persons=True, door=Door.OWN),
    Metric("transactions", "postings", unit="minor units", label="currency/source", persons=True, door=Door.LEDGER),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
WITH_SPREAD: tuple[str, ...] = tuple(metric.name for metric in _ALL if metric.spread)
