"""What each kind of job is given: frozen, versioned, JSON both ways."""

import uuid
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class JobArgs(BaseModel):
    """The arguments of one kind. A change that old rows do not survive raises `version`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def upgrade(cls, version: int, args: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG003 - a kind with a past says more
        """Arguments as an older `version` wrote them, in today's form: rows outlive deploys."""
        return args


class VideoExtract(JobArgs):
    """Take frames out of a video and lay them on a grid."""

    kind: ClassVar[str] = "video.extract"
    version: ClassVar[int] = 2  # 1 had no cells by length: its workers cannot read a null

    task_id: uuid.UUID  # the ContentTask
    cells: Literal[1, 4, 9, 16] | None = None  # None: by the video's length


class VideoAnalyze(JobArgs):
    """Show the grid to the vision model and store its report."""

    kind: ClassVar[str] = "video.analyze"

    task_id: uuid.UUID


class PeriodicArgs(JobArgs):
    """What the clock gives: the slot is the job's "now", so that any slot can be run again."""

    slot: AwareDatetime


class EventsPlace(PeriodicArgs):
    """Give positions to events that the live fan-out missed."""

    kind: ClassVar[str] = "events.place"


class JobsPrune(PeriodicArgs):
    """Delete ended jobs that are past their time."""

    kind: ClassVar[str] = "jobs.prune"


class WebhooksDeliver(JobArgs):
    """Tell an endpoint of an event."""

    kind: ClassVar[str] = "webhooks.deliver"

    endpoint_id: uuid.UUID
    event_id: uuid.UUID


class WebhooksReplay(JobArgs):
    """Tell an endpoint again of what was written in [since, until)."""

    kind: ClassVar[str] = "webhooks.replay"

    endpoint_id: uuid.UUID
    since: AwareDatetime
    until: AwareDatetime
    delivered: bool = False  # what arrived, too


class EventsPrune(PeriodicArgs):
    """Delete events that are past their time."""

    kind: ClassVar[str] = "events.prune"


class AiSweep(PeriodicArgs):
    """Settle the calls of models whose callers are gone."""

    kind: ClassVar[str] = "ai.sweep"


class AiPrune(PeriodicArgs):
    """Delete calls of models that are past their months."""

    kind: ClassVar[str] = "ai.prune"


class TrendsFire(PeriodicArgs):
    """Make runs of the sources that are due."""

    kind: ClassVar[str] = "trends.fire"


class TrendsScrape(JobArgs):
    """Start a run of an actor, once, and see it to its end."""

    kind: ClassVar[str] = "trends.scrape"

    run_id: uuid.UUID  # the TrendRun


class TrendsCheck(JobArgs):
    """Ask how a run is, because a webhook said something. What it said is not believed."""

    kind: ClassVar[str] = "trends.check"

    run_id: uuid.UUID
    external_id: str | None = None  # the vendor's run that the webhook named


class TrendsCollect(JobArgs):
    """Read what a run has found, from its checkpoint on."""

    kind: ClassVar[str] = "trends.collect"

    run_id: uuid.UUID


class TrendsForget(JobArgs):
    """Delete what is kept of an author, and keep out what comes later."""

    kind: ClassVar[str] = "trends.forget"

    author_keys: list[str]  # hexadecimal: the name itself is in no row


class TrendsPrune(PeriodicArgs):
    """Delete rows of datasets and posts that are past their days."""

    kind: ClassVar[str] = "trends.prune"


class BillingRun(PeriodicArgs):
    """Bill what is due: counts it, and lets so many parts do it."""

    kind: ClassVar[str] = "billing.run"


class BillingPart(PeriodicArgs):
    """Bill what is due, side by side with the other parts."""

    kind: ClassVar[str] = "billing.part"

    part: int


class BillingMeter(PeriodicArgs):
    """Count metered units of the day before the slot."""

    kind: ClassVar[str] = "billing.meter"


class BillingCollect(PeriodicArgs):
    """Ask for the money that is due, and give back what has to be."""

    kind: ClassVar[str] = "billing.collect"


class BillingAudit(PeriodicArgs):
    """See whether the books add up."""

    kind: ClassVar[str] = "billing.audit"


class PaymentCharge(PeriodicArgs):
    """Charge an invoice, or ask again what became of a charge."""

    kind: ClassVar[str] = "payments.charge"

    invoice_id: uuid.UUID


class PaymentRefund(PeriodicArgs):
    """Have the gateway give money back."""

    kind: ClassVar[str] = "payments.refund"

    refund_id: uuid.UUID


class PaymentNotice(JobArgs):
    """Make something of what a gateway sent."""

    kind: ClassVar[str] = "payments.notice"

    message_id: uuid.UUID


class AnalyticsRollup(PeriodicArgs):
    """Count new facts, and derive the days that they fall into."""

    kind: ClassVar[str] = "analytics.rollup"


class AnalyticsMonths(PeriodicArgs):
    """Derive the months of days that have changed."""

    kind: ClassVar[str] = "analytics.months"


class AnalyticsRetain(PeriodicArgs):
    """Make the tables of coming months; drop those of facts that are past their time."""

    kind: ClassVar[str] = "analytics.retain"


class AnalyticsErase(JobArgs):
    """Delete one person's data. Who it is stands in the request's row, as a pseudonym."""

    kind: ClassVar[str] = "analytics.erase"

    erasure_id: uuid.UUID


class OffersActivate(PeriodicArgs):
    """Open offers whose start has come."""

    kind: ClassVar[str] = "offers.activate"


class OffersExpire(PeriodicArgs):
    """End offers whose end has come."""

    kind: ClassVar[str] = "offers.expire"


class TrendsDetect(PeriodicArgs):
    """Score the new hours of what was scraped, and follow trends."""

    kind: ClassVar[str] = "trends.detect"


class TrendsRecommendRun(PeriodicArgs):
    """Have sets made for the creators behind `after`, a batch at a time."""

    kind: ClassVar[str] = "trends.recommend_run"

    after: uuid.UUID | None = None  # None: from the first


class TrendsRecommend(PeriodicArgs):
    """Choose the trends that a creator is shown."""

    kind: ClassVar[str] = "trends.recommend"


class TrendsReportRun(PeriodicArgs):
    """Have the creators behind `after` get a report of the last whole week's trends, a batch at a time."""

    kind: ClassVar[str] = "trends.report_run"

    after: uuid.UUID | None = None  # None: from the first


class TrendsReport(JobArgs):
    """Write the words and the files of a trend report."""

    kind: ClassVar[str] = "trends.report"

    report_id: uuid.UUID


class AiInsightsRun(PeriodicArgs):
    """Have insights written for the creators behind `after`, a batch at a time."""

    kind: ClassVar[str] = "ai.insights_run"

    after: uuid.UUID | None = None  # None: from the first


class AiInsights(PeriodicArgs):
    """Tell a creator what the figures mean that the slot looks back on."""

    kind: ClassVar[str] = "ai.insights"


class ReportsWeekly(PeriodicArgs):
    """Have the creators behind `after` get a report of the last whole week, a batch at a time."""

    kind: ClassVar[str] = "reports.weekly"

    after: uuid.UUID | None = None  # None: from the first


class ReportsMonthly(PeriodicArgs):
    """The same of the last whole month."""

    kind: ClassVar[str] = "reports.monthly"

    after: uuid.UUID | None = None


class ReportMake(JobArgs):
    """Make the files of a report."""

    kind: ClassVar[str] = "reports.make"

    report_id: uuid.UUID


class Noop(JobArgs):
    """Nothing at all, through the whole engine: what the benchmarks and `doctor` send."""

    kind: ClassVar[str] = "noop"
