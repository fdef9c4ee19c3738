"""What happens when: data only. `worker/clock.py` turns the slots into jobs."""

from dataclasses import dataclass
from typing import Literal

FIRE = "clock.fire"  # what beat sends, with the name of an entry
SWEEP = "clock.sweep"  # in place of a name: all entries, against firings that were lost
SWEEP_CRON = "*/5 * * * *"


@dataclass(frozen=True)
class Entry:
    """One line of the schedule.

    `cron`: five fields, UTC. `catch_up`: after an outage, run the `latest` missed slot or `all` of them.
    """

    kind: str
    cron: str
    catch_up: Literal["latest", "all"]


SCHEDULE: dict[str, Entry] = {
    # Calls of models whose callers died are charged what they may have cost.
    "ai-budget-sweep": Entry("ai.sweep", "*/5 * * * *", "latest"),
    # Calls of models go after the months that HUNTAZE_RETENTION_* gives them; their sums stay.
    "ai-usage-retention": Entry("ai.prune", "57 2 * * *", "latest"),
    # A job a creator whose figures may have something to tell; after the night's rollups.
    "ai-insights": Entry("ai.insights_run", "20 4 * * *", "latest"),
    # Months of days that have changed; new facts and their days; tables of facts: new months, and old ones.
    "analytics-months": Entry("analytics.months", "*/15 * * * *", "latest"),
    "analytics-rollup": Entry("analytics.rollup", "* * * * *", "latest"),
    "analytics-retention": Entry("analytics.retain", "7 2 * * *", "latest"),
    # Whether the books add up, at night.
    "billing-audit": Entry("billing.audit", "30 3 * * *", "latest"),
    # The safety net under the live fan-out: what a dead dispatcher left without a position gets one.
    "event-dispatcher": Entry("events.place", "*/5 * * * *", "latest"),
    # Reads know of starts and ends before these come: they tell of them.
    "activate-offers": Entry("offers.activate", "0 * * * *", "latest"),
    "expire-offers": Entry("offers.expire", "10 0 * * *", "latest"),
    # Events go after the days that HUNTAZE_RETENTION_* gives them; streams and replays reach no further back.
    "event-retention": Entry("events.prune", "37 * * * *", "latest"),
    # Ended jobs go after theirs.
    "job-retention": Entry("jobs.prune", "17 * * * *", "latest"),
    # Invoices of every period that has begun, on each subscription's own anchor.
    "monthly-billing": Entry("billing.run", "0 * * * *", "latest"),
    # Charges that are due: new invoices, dunning, refunds.
    "payment-collection": Entry("billing.collect", "*/5 * * * *", "latest"),
    # Units that plans bill; each slot looks back a day, so all that were missed are made up for.
    "usage-metering": Entry("billing.meter", "50 * * * *", "all"),
    # Hours that scrapes have settled are scored; trends begin, go on and end.
    "trend-detection": Entry("trends.detect", "27 * * * *", "latest"),
    # Reports of the week and of the month that have ended, by now in every zone.
    "monthly-reports": Entry("reports.monthly", "30 14 1 * *", "all"),
    "weekly-reports": Entry("reports.weekly", "0 14 * * 1", "all"),
    # A job a creator, in time for the day; what was said to earlier sets counts.
    "trend-recommendations": Entry("trends.recommend_run", "40 5 * * *", "latest"),
    # Rows of datasets and posts go after the days that HUNTAZE_APIFY_* gives them.
    "trend-retention": Entry("trends.prune", "47 * * * *", "latest"),
    # Of the week that has ended, after Monday's recommendations.
    "weekly-trend-reports": Entry("trends.report_run", "0 6 * * 1", "all"),
    # Sources that are due get a run each; what an outage missed is made up for once.
    "trend-scrapes": Entry("trends.fire", "*/5 * * * *", "latest"),
}
