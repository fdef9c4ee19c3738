"""How many jobs of a queue may lie with the broker."""

from collections import deque

WINDOW_S = 0.25


class Depth:
    """Free slots, plus as many as have left the broker and ended in the last quarter of a second, `most` at the most.

    What lies with the broker can no longer be put in order, so slow jobs are sent only when a slot is free: a newcomer
    waits for one job's end, not for a creator's whole backlog. Quick jobs drain fast, get a deeper broker by that, and
    still wait there no longer than the window; starting from the slots alone, the depth doubles from round to round.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: deque[tuple[float, int]] = deque()
        self._queued = 0
        self._asked_at = float("-inf")

    def room(self, now: float, slots: int, queued: int, running: int) -> int:
        """How many may be sent now. `now`: monotonic seconds; `queued`, `running`: the queue's jobs by the ledger."""
        # After a pause nobody knows how fast they left: the depth begins anew.
        drained = max(self._queued - queued, 0) if now - self._asked_at <= WINDOW_S else 0
        self._left.append((now, drained))
        self._queued, self._asked_at = queued, now
        while self._left[0][0] < now - WINDOW_S:
            self._left.popleft()
        # What left and still runs has only taken a slot: another in its place would wait for two jobs' ends. Nobody
        # knows which of those that run it is, so all of them are taken off.
        recent = min(max(sum(count for _, count in self._left) - running, 0), self._most)
        return max(slots + recent - queued - running, 0)

    def sent(self, count: int) -> None:
        """So many have been added to what lies with the broker."""
        self._queued += count
