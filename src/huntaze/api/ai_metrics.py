"""The AI budget in `/metrics`: the whole and the roles. No creator is named."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from huntaze.models import ai_report
from huntaze.models.ai_report import Gauges
from huntaze.models.database import Sessions
from huntaze.pipelines.ai.budget import share_spent


class AiBudgetCollector(Collector):
    """Read at each scrape; left out while the database is away, as a made-up 0 would end an alert. The same figures
    from each API, so a query takes their maximum and never their sum."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def describe(self) -> Iterator[Metric]:
        """Nothing is read at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        try:
            with self._sessions() as session:
                found = ai_report.gauges(session)
        except SQLAlchemyError:
            return
        yield from _families(found)


def _families(found: Gauges) -> tuple[Metric, ...]:
    limit = GaugeMetricFamily("huntaze_ai_budget_limit_dollars", "Limit of the month (UTC)", labels=["scope"])
    spent = GaugeMetricFamily("huntaze_ai_budget_spent_dollars", "Spent in the month", labels=["scope"])
    reserved = GaugeMetricFamily(
        "huntaze_ai_budget_reserved_dollars", "The most that calls under way can cost", labels=["scope"]
    )
    share = GaugeMetricFamily(
        "huntaze_ai_budget_share", "Spent of the limit, 0 to 1: warned of at 0.8 and 0.95", labels=["scope"]
    )
    for one in found.scopes:
        spent.add_metric([one.scope], one.settled_micro_usd / 1e6)
        reserved.add_metric([one.scope], one.reserved_micro_usd / 1e6)
        if one.limit_micro_usd is not None:
            limit.add_metric([one.scope], one.limit_micro_usd / 1e6)
            share.add_metric([one.scope], share_spent(one.settled_micro_usd, one.limit_micro_usd))
    calls = GaugeMetricFamily("huntaze_ai_calls_open", "Calls of models that are under way", found.open)
    overdue = GaugeMetricFamily(
        "huntaze_ai_calls_overdue_seconds",
        "Since the oldest lease of a call ran out: does the sweep run?",
        found.overdue_s,
    )
    refused = GaugeMetricFamily(
        "huntaze_ai_calls_refused", "Calls that the budget refused in the last five minutes", found.refused
    )
    return limit, spent, reserved, share, calls, overdue, refused
