"""How each kind of job is run: data, read by every door."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from huntaze.models import content_store, report_store, trend_report_store, trend_run_store, webhook_store
from huntaze.models.job_args import (
    AiInsights,
    AiInsightsRun,
    AiPrune,
    AiSweep,
    AnalyticsErase,
    AnalyticsMonths,
    AnalyticsRetain,
    AnalyticsRollup,
    BillingAudit,
    BillingCollect,
    BillingMeter,
    BillingPart,
    BillingRun,
    EventsPlace,
    EventsPrune,
    JobArgs,
    JobsPrune,
    Noop,
    OffersActivate,
    OffersExpire,
    PaymentCharge,
    PaymentNotice,
    PaymentRefund,
    ReportMake,
    ReportsMonthly,
    ReportsWeekly,
    TrendsCheck,
    TrendsCollect,
    TrendsDetect,
    TrendsFire,
    TrendsForget,
    TrendsPrune,
    TrendsRecommend,
    TrendsRecommendRun,
    TrendsReport,
    TrendsReportRun,
    TrendsScrape,
    VideoAnalyze,
    VideoExtract,
    WebhooksDeliver,
    WebhooksReplay,
)
from huntaze.models.jobs import Job

Follow = Callable[[Session, Job], None]


@dataclass(frozen=True)
class Rate:
    """At most `count` starts in any `period_s` seconds, all at once if they come so."""

    count: int
    period_s: float


@dataclass(frozen=True)
class Unique:
    """One job at most of a key.

    `by` makes the key: "args" (all of them) or "args.<name>", "creator", "subject". `period_s`: how long it is held;
    None: while the job is live; else to the end of the period, counted from 1970, in which the job was enqueued. A job
    that failed or was cancelled holds nothing.
    `conflict`: "ignore" leaves the job that is there as it is; "replace" gives it the new arguments, time and priority
    while it waits.
    """

    by: tuple[str, ...] = ("args", "creator")
    period_s: float | None = None
    conflict: Literal["ignore", "replace"] = "ignore"


@dataclass(frozen=True)
class JobKind:
    """The policy of one kind.

    `flow_limit`: most jobs of one flow key under way at once. `flow_rate`: most starts of one flow key in a period.

    `soft_limit_s` and `hard_limit_s` bound one attempt (prefork only: threads cannot be interrupted).
    `follow` is called in the transaction that moves a job of this kind to an end it did not write itself
    (failed, cancelled) or back to life (replayed), so that the row it works on tells the same story.
    """

    args: type[JobArgs]
    queue: str
    max_attempts: int = 5
    backoff_base_s: float = 2.0  # first retry within this, doubling, full jitter
    backoff_cap_s: float = 600.0
    soft_limit_s: float = 300.0
    hard_limit_s: float = 330.0
    flow_limit: int | None = None
    flow_rate: Rate | None = None
    unique: Unique | None = None
    follow: Follow | None = None

    def __post_init__(self) -> None:
        known = {"args", "creator", "subject"} | {f"args.{name}" for name in self.args.model_fields}
        unknown = set(self.unique.by) - known if self.unique else set()
        if unknown:
            raise ValueError(f"{self.name} cannot be unique by {', '.join(sorted(unknown))}")

    @property
    def name(self) -> str:
        """The kind, as it stands in the row."""
        return self.args.kind


_ALL = (
    JobKind(VideoExtract, queue="video", follow=content_store.follow_job),
    JobKind(VideoAnalyze, queue="ai", max_attempts=8, follow=content_store.follow_job),
    JobKind(EventsPlace, queue="default"),
    JobKind(JobsPrune, queue="default", flow_limit=1),
    # More attempts than the schedule has, whose end the handler sees: what is left is for faults of our own.
    JobKind(
        WebhooksDeliver,
        queue="default",
        max_attempts=12,
        flow_limit=4,
        unique=Unique(by=("args",)),
        follow=webhook_store.follow_job,
    ),
    JobKind(WebhooksReplay, queue="default", flow_limit=1),
    JobKind(EventsPrune, queue="default", flow_limit=1),
    JobKind(OffersActivate, queue="default", flow_limit=1),
    JobKind(OffersExpire, queue="default", flow_limit=1),
    JobKind(AiSweep, queue="default", flow_limit=1),
    JobKind(AiPrune, queue="default", flow_limit=1),
    JobKind(AiInsightsRun, queue="default", flow_limit=1),
    JobKind(AiInsights, queue="ai", max_attempts=8, unique=Unique(by=("creator",))),
    JobKind(BillingRun, queue="default", flow_limit=1),
    JobKind(BillingPart, queue="default"),
    JobKind(BillingMeter, queue="default", flow_limit=1),
    JobKind(BillingCollect, queue="default", flow_limit=1),
    JobKind(BillingAudit, queue="default", flow_limit=1, max_attempts=2, soft_limit_s=900.0, hard_limit_s=930.0),
    # One at a time of an invoice; what is not settled is due again at the next collection.
    JobKind(PaymentCharge, queue="default", max_attempts=8, unique=Unique(by=("args.invoice_id",))),
    JobKind(PaymentRefund, queue="default", max_attempts=8, unique=Unique(by=("args.refund_id",))),
    JobKind(PaymentNotice, queue="default", max_attempts=8),
    JobKind(TrendsFire, queue="default", flow_limit=1),
    JobKind(
        TrendsScrape, queue="default", max_attempts=8, unique=Unique(by=("args",)), follow=trend_run_store.follow_job
    ),
    JobKind(TrendsCheck, queue="default", unique=Unique(by=("args",))),
    JobKind(
        TrendsCollect, queue="default", max_attempts=8, unique=Unique(by=("args",)), follow=trend_run_store.follow_job
    ),
    JobKind(TrendsDetect, queue="default", flow_limit=1),
    JobKind(TrendsRecommendRun, queue="default", flow_limit=1),
    JobKind(TrendsRecommend, queue="ai", unique=Unique(by=("creator",))),
    JobKind(TrendsReportRun, queue="default", flow_limit=1),
    JobKind(TrendsReport, queue="ai", flow_limit=2, unique=Unique(by=("args",)), follow=trend_report_store.follow_job),
    JobKind(TrendsForget, queue="default"),
    JobKind(TrendsPrune, queue="default", flow_limit=1),
    JobKind(AnalyticsRollup, queue="default", flow_limit=1),
    JobKind(AnalyticsMonths, queue="default", flow_limit=1),
    JobKind(AnalyticsRetain, queue="default", flow_limit=1),
    JobKind(AnalyticsErase, queue="default", max_attempts=8, unique=Unique(by=("args",))),
    JobKind(ReportsWeekly, queue="default", flow_limit=1),
    JobKind(ReportsMonthly, queue="default", flow_limit=1),
    JobKind(ReportMake, queue="default", flow_limit=2, unique=Unique(by=("args",)), follow=report_store.follow_job),
    JobKind(Noop, queue="default"),
)

KINDS: dict[str, JobKind] = {kind.name: kind for kind in _ALL}
QUEUES: tuple[str, ...] = tuple(sorted({kind.queue for kind in _ALL}))
MAX_HARD_LIMIT_S = max(kind.hard_limit_s for kind in _ALL)


def parse_args(kind: str, version: int, written: Mapping[str, Any]) -> JobArgs:
    """The typed arguments of a row of this `kind`, as its `version` wrote them.

    A row of an older version is brought up to this one first. Raises KeyError for a kind that this code does not know
    and pydantic.ValidationError for arguments it cannot read.
    """
    args = KINDS[kind].args
    return args.model_validate(written if version == args.version else args.upgrade(version, dict(written)))
