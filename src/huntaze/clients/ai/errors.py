"""How one call to a deployment fails, and what it may have cost."""

from typing import Literal

from huntaze.pipelines.ai.calls import Outcome
from huntaze.pipelines.errors import HuntazeError

# What the vendor may bill: nothing, the prompt alone, or as much as the bound. What may have been paid counts as paid.
Paid = Literal["nothing", "prompt", "unknown"]


class CallFailed(Exception):
    """One call without an answer. `error` is for whoever asked; `outcome` and `paid` for the ledger."""

    def __init__(self, error: HuntazeError, outcome: Outcome, paid: Paid) -> None:
        super().__init__(error.code)
        self.error, self.outcome, self.paid = error, outcome, paid
