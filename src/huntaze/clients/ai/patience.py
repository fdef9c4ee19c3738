"""How long a caller waits out somebody's limit, over all that is tried for it."""

from collections.abc import Callable
from typing import Final

from huntaze.pipelines.ai import errors
from huntaze.pipelines.errors import Transient

_UNTOLD_S: Final = 1.0  # where a server asks to wait and does not say how long


class Patience:
    """So many seconds in all. What is waited is taken off, and not given back."""

    def __init__(self, seconds: float, sleep: Callable[[float], None]) -> None:
        self.left_s = seconds
        self._sleep = sleep

    def bears(self, error: Transient) -> bool:
        """Waits as long as was asked for, if that is a limit and there is time; False if there is not."""
        limit = error.code == errors.RATE_LIMITED
        asked = error.retry_after is not None and error.code == errors.UNAVAILABLE
        wait = _UNTOLD_S if error.retry_after is None else error.retry_after
        if not (limit or asked) or wait > self.left_s:
            return False
        self.spend(max(wait, 0.05))  # a server that asks for nothing is not asked for ever
        self._sleep(wait)
        return True

    def spend(self, seconds: float) -> None:
        """Somebody else has waited in our name."""
        self.left_s = max(0.0, self.left_s - seconds)
