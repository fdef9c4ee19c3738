"""Scraping in `/metrics`: open alarms and the month's money. No source is named: there are as many as people like."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from huntaze.models import scrape_budget, trend_verdicts
from huntaze.models.database import Sessions


class SourcesCollector(Collector):
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
                alarms = trend_verdicts.count_open(session)
                now = scrape_budget.spend(session)
        except SQLAlchemyError:
            return
        yield GaugeMetricFamily("huntaze_source_alarms_open", "Alarms of sources that nobody has closed", alarms)
        yield GaugeMetricFamily("huntaze_scrape_spent_dollars", "Spent on scraping in the month (UTC)", now.spent / 1e6)
        reserved = "Put aside for runs that are not settled"
        yield GaugeMetricFamily("huntaze_scrape_reserved_dollars", reserved, now.reserved / 1e6)
