"""How one call to a deployment fails, and what it may have cost."""

from typing import Final, Literal

from huntaze.pipelines.ai import errors
from huntaze.pipelines.ai.calls import Outcome
from huntaze.pipelines.errors import HuntazeError, Transient

# What the vendor may bill: nothing, the prompt alone, or as much as the bound. What may have been paid counts as paid.
Paid = Literal["nothing", "prompt", "unknown"]


class CallFailed(Exception):
    """One call without an answer. `error` is for whoever asked; `outcome` and `paid` for the ledger."""

    def __init__(self, error: HuntazeError, outcome: Outcome, paid: Paid) -> None:
        super().__init__(error.code)
        self.error, self.outcome, self.paid = error, outcome, paid


_TOLD: Final[dict[Outcome, tuple[str, str]]] = {
    "unavailable": (errors.UNAVAILABLE, "The model's server cannot be reached, or is in trouble."),
    "timeout": (errors.TIMEOUT, "The model did not answer in time."),
    "bad_response": (errors.BAD_RESPONSE, "The model's server answered in a form that is not known."),
}


def failed(outcome: Outcome, paid: Paid = "unknown", retry_after: float | None = None) -> CallFailed:
    """A failure that is worth another try: `unavailable`, `timeout` or `bad_response`."""
    code, message = _TOLD[outcome]
    return CallFailed(Transient(code, message, retry_after), outcome, paid)
