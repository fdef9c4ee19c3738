"""A gateway and its parts, to be looked into."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.ports import Wire
from huntaze.clients.ai.twins import MemoryAnswers, MemoryBreaker, MemoryBudget
from huntaze.pipelines.ai.calls import ROLES
from huntaze.pipelines.ai.deployments import Deployment, Routes

PRICES = {"input_micro_usd_per_million": 1_000_000, "output_micro_usd_per_million": 4_000_000}
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass
class Bench:
    """A gateway's parts, and what they saw."""

    wire: Wire
    base_url: str
    budget: MemoryBudget = field(default_factory=MemoryBudget)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)
    breaker: MemoryBreaker = field(default_factory=MemoryBreaker)
    slept: list[float] = field(default_factory=list)
    now: datetime = NOW

    def gateway(self, *models: str, economise_at: float | None = None, **fields: Any) -> Gateway:
        """Every role asks the first of these models, and falls back to the next one."""
        made = {}
        for at, model in enumerate(models):
            fallback = f"d{at + 1}" if at + 1 < len(models) else None
            own = {"name": f"d{at}", "model": model, "base_url": self.base_url, "fallback": fallback, "timeout_s": 20.0}
            made[f"d{at}"] = Deployment.model_validate({**PRICES, **own, **fields})
        return self.over(Routes(made, dict.fromkeys(ROLES, "d0"), economise_at))

    def over(self, routes: Routes) -> Gateway:
        parts = {"answers": self.answers, "breaker": self.breaker, "sleep": self.slept.append}
        return Gateway(routes, self.wire, self.budget, now=lambda: self.now, **parts)  # type: ignore[arg-type]

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """(deployment, outcome) of every row of usage."""
        return [(used.deployment, used.outcome) for _, used in self.budget.rows]
