"""Calls of a model that the ledger knows, for tests that only look at what they took."""

import uuid

from huntaze.models.ai_budget import BudgetLedger
from huntaze.models.base import new_id
from huntaze.models.database import Sessions
from huntaze.pipelines.ai.calls import Ask, Outcome, Used


def called(
    sessions: Sessions,
    cost: int | None,
    creator_id: uuid.UUID | None = None,
    *,
    role: str = "vision",
    bound: int = 1000,
    outcome: Outcome = "ok",
    latency_ms: int = 12,
) -> Ask:
    """A call that cost so much (micro-USD), for 100 tokens in and 20 out; `cost` None: it is under way."""
    ledger, ask = BudgetLedger(sessions), Ask(new_id(), role, "phi-4", creator_id, None, bound, 600.0)
    ledger.reserve(ask)
    if cost is not None:
        ledger.settle(ask, Used("phi-4", 100, 20, 5, 7, cost, latency_ms, outcome))
    return ask
