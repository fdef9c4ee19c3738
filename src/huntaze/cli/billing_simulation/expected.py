"""Which periods have to be billed, worked out from what was asked for alone. It knows no rows and no run."""

from dataclasses import dataclass, field
from datetime import datetime

from huntaze.pipelines.billing.periods import Cycle, Period, Unit


@dataclass
class Expected:
    """One subscription. `next_start` is None while it is paused and after it has ended.

    `made` grows by each period that falls due; an end bills what is left under an empty one, which may come to nothing.
    """

    cycle: Cycle
    next_start: datetime | None
    cancel_at: datetime | None = None
    last: Period | None = None
    ended: bool = False
    made: list[Period] = field(default_factory=list)

    def advance(self, to: datetime) -> None:
        """All that is due by `to`."""
        while self.next_start is not None and self.next_start <= to:
            start = self.next_start
            if self.cancel_at is not None and start >= self.cancel_at:
                self.next_start, self.ended = None, True
                self.made.append(Period(start, start))
                return
            end = self.cycle.period_at(start).end
            self.last = Period(start, end if self.cancel_at is None else min(end, self.cancel_at))
            self.next_start = self.last.end
            self.made.append(self.last)

    def change(self, at: datetime, *, now: bool, unit: Unit, count: int) -> None:
        """Another plan: for `now` a period begins at `at`; another interval begins a cycle of its own."""
        self.advance(at)
        if now and self.last is not None:
            self.next_start = at
        if (unit, count) != (self.cycle.unit, self.cycle.count):
            begins = self.cycle.anchor if self.last is None or self.next_start is None else self.next_start
            self.cycle = Cycle(begins, self.cycle.zone, unit, count)
        self.advance(at)

    def pause(self, at: datetime) -> None:
        """Nothing falls due from `at` on."""
        self.advance(at)
        self.next_start = None

    def resume(self, at: datetime) -> None:
        """From `at` on, with the rest of the period that the anchor says."""
        self.next_start = at

    def cancel(self, at: datetime, *, now: bool) -> None:
        """At the end of what was billed, or at once."""
        if self.next_start is not None:
            self.advance(at)
        if now or self.next_start is None:
            self.cancel_at = self.next_start = at
            self.advance(at)
        else:
            self.cancel_at = self.next_start

    def end_by(self, at: datetime) -> None:
        """Dunning's end: what was billed stays billed, and no period begins after it."""
        self.cancel_at = at if self.cancel_at is None else min(at, self.cancel_at)
        begun = self.last is None or self.cancel_at > self.last.start
        if self.next_start is not None and self.next_start > self.cancel_at and begun:
            self.next_start = self.cancel_at

    def take(self) -> list[Period]:
        """What fell due since this was asked last."""
        made, self.made = self.made, []
        return made
