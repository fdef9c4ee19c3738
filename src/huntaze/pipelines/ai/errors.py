"""How a call to a model fails, for whoever asks one. What is worth another try is Transient."""

from datetime import datetime
from typing import Final

from huntaze.pipelines.errors import Permanent, Transient

CONTENT_FILTER: Final = "ai.content_filter"
REFUSED: Final = "ai.refused"
UNKNOWN_PRICE: Final = "ai.unknown_price"
NO_DEPLOYMENT: Final = "ai.no_deployment"

BUDGET: Final = "ai.budget_exhausted"
RATE_LIMITED: Final = "ai.rate_limited"
UNAVAILABLE: Final = "ai.unavailable"
TIMEOUT: Final = "ai.timeout"
BAD_RESPONSE: Final = "ai.bad_response"


class BudgetExhausted(Transient):
    """`ai.budget_exhausted`: the call does not fit into what is left of the month. `scope`: which limit it was:
    `total`, `role:<role>` or `creator`. `retry_after`: seconds up to `resets_at` (UTC), by the database's clock."""

    def __init__(self, scope: str, resets_at: datetime, retry_after: float | None = None) -> None:
        day = f"{resets_at:%Y-%m-%d}"
        message = f"The budget for AI is used up until {day} (UTC). Wait for that day, or have the limit raised."
        super().__init__(BUDGET, message, retry_after)
        self.scope, self.resets_at = scope, resets_at

    def __reduce__(self) -> tuple[type["BudgetExhausted"], tuple[str, datetime, float | None]]:  # type: ignore[override]
        return (BudgetExhausted, (self.scope, self.resets_at, self.retry_after))


def content_filter() -> Permanent:
    """The provider's filter refused the prompt or withheld the answer."""
    return Permanent(CONTENT_FILTER, "The model's provider refused to answer this (content filter).")
