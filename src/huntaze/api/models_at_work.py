"""Places for requests that wait for a model: threads of their own, so that slow answers hold up nobody else."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from huntaze.api.problems import RETRY_AFTER_S, ProblemError
from huntaze.clients.ai.ports import ModelGateway

T = TypeVar("T")


class ModelsAtWork:
    """`at_once`: requests of this process that may wait for a model. `per_creator`: of one creator."""

    def __init__(self, gateway: ModelGateway, *, at_once: int = 64, per_creator: int = 8) -> None:
        self.gateway = gateway
        self._at_once, self._per_creator = at_once, per_creator
        self._waiting: Counter[uuid.UUID] = Counter()
        self._limiter: CapacityLimiter | None = None

    @contextmanager
    def place(self, creator_id: uuid.UUID) -> Iterator[None]:
        """Called on the event loop. Raises ProblemError: 429 for the creator's own share, 503 where all are taken."""
        if self._waiting[creator_id] >= self._per_creator:
            detail = f"{self._per_creator} requests of this creator wait for a model; let one end first."
            raise ProblemError(429, "ai.too_many", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        if self._waiting.total() >= self._at_once:
            detail = "All places for requests to models are taken now. Try again."
            raise ProblemError(503, "ai.busy", detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        self._waiting[creator_id] += 1
        try:
            yield
        finally:
            self._waiting[creator_id] -= 1
            if not self._waiting[creator_id]:
                del self._waiting[creator_id]

    async def run(self, work: Callable[[], T]) -> T:
        """Waits in a thread; to be called with a place, so that there is a thread."""
        if self._limiter is None:  # a limiter belongs to the event loop it was made in
            self._limiter = CapacityLimiter(self._at_once)
        return await to_thread.run_sync(work, limiter=self._limiter)
