"""What a worker's `/metrics` says of the models: how long those in use still live."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from huntaze.clients.ai.configured import routes_of
from huntaze.pipelines.ai.deployments import retirements
from huntaze.setting_groups import AISettings


class AiRetirements(Collector):
    """Worked out at each scrape: a node may run for longer than a model."""

    def __init__(self, settings: AISettings, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        self._routes, self._today = routes_of(settings), today

    def describe(self) -> Iterator[Metric]:
        """Known by their names; nothing is read at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        left = GaugeMetricFamily(
            "huntaze_ai_retirement_days",
            "Days until the vendor shuts a deployment down that a role comes to, negative afterwards; warn below 60",
            labels=["deployment", "role"],
        )
        for one in retirements(self._routes, self._today()):
            for role in one.roles:
                left.add_metric([one.deployment, role], one.days)
        yield left
