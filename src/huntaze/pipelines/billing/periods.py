"""When periods begin and end: half-open, on a kept anchor, by the wall clock of the customer's zone.

Every boundary is derived from the anchor, never from the boundary before it, so 31 Jan -> 28 Feb -> 31 Mar. A time
of day that a zone skips moves on by the gap; of one that comes twice it is the one that the anchor was in (PEP 495).
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from huntaze.pipelines.billing.errors import BillingError


class Unit(StrEnum):
    """What a cycle counts."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_DAYS = {Unit.DAY: 1, Unit.WEEK: 7}
_MONTHS = {Unit.MONTH: 1, Unit.YEAR: 12}
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)  # later than that nobody counts: the calendar ends at 9999


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone. Raises BillingError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BillingError(
            "billing.unknown_zone", f"{name!r} is no time zone; write it as Europe/Paris, America/New_York or UTC."
        ) from None


@dataclass(frozen=True, order=True)
class Period:
    """[start, end), aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise BillingError("billing.period_backwards", f"A period cannot end ({self.end}) before it starts.")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __bool__(self) -> bool:
        return self.start < self.end

    def overlap(self, other: "Period") -> "Period":
        """What both hold; empty at the later start if they hold nothing in common."""
        start = max(self.start, other.start)
        return Period(start, max(start, min(self.end, other.end)))

    def minus(self, other: "Period") -> list["Period"]:
        """What is left of this one without the other: nothing, one piece or two."""
        common = self.overlap(other)
        if not common:
            return [self] if self else []
        return [piece for piece in (Period(self.start, common.start), Period(common.end, self.end)) if piece]

    def last_day(self, zone: str) -> date:
        """The last calendar day of which it holds a moment, as people write "until"."""
        return (self.end - timedelta(microseconds=1)).astimezone(zone_of(zone)).date()


@dataclass(frozen=True)
class Cycle:
    """Every `count` units from `anchor` on, for ever in both directions, in the wall clock of `zone`.

    day: the day of the month that is wanted, where the anchor itself had to be clamped (30 for an anchor on 29 Feb).
    """

    anchor: datetime
    zone: str = "UTC"
    unit: Unit = Unit.MONTH
    count: int = 1
    day: int | None = None

    def __post_init__(self) -> None:
        if self.anchor.tzinfo is None or self.count < 1 or not 1 <= (self.day or 1) <= 31:
            raise BillingError(
                "billing.bad_cycle", "A cycle has an anchor with a zone, a count of 1 or more, a day of 1 to 31."
            )
        zone_of(self.zone)

    def boundary(self, n: int) -> datetime:
        """The start of the n-th period after the anchor's own, UTC."""
        local = self.anchor.astimezone(zone_of(self.zone))
        if self.unit in _DAYS:
            moved = local + timedelta(days=n * self.count * _DAYS[self.unit])  # of the wall clock (PEP 495)
            return moved.replace(fold=local.fold).astimezone(UTC)
        return _add_months(local, n * self.count * _MONTHS[self.unit], self.day or local.day).astimezone(UTC)

    def index_at(self, moment: datetime) -> int:
        """Which period holds the moment: boundary(n) <= moment < boundary(n + 1)."""
        local, first = moment.astimezone(zone_of(self.zone)), self.anchor.astimezone(zone_of(self.zone))
        if self.unit in _DAYS:
            n = (local.date() - first.date()).days // (self.count * _DAYS[self.unit])
        else:
            months = (local.year - first.year) * 12 + local.month - first.month
            n = months // (self.count * _MONTHS[self.unit])
        while self.boundary(n) > moment:
            n -= 1
        while self.boundary(n + 1) <= moment:
            n += 1
        return n

    def period_at(self, moment: datetime) -> Period:
        """The period that holds the moment."""
        return _period_at(self, moment)

    def periods(self, since: datetime) -> Iterator[Period]:
        """The period that holds `since` and all after it. They tile time; a day that a zone skipped has none."""
        period = self.period_at(since)
        while period.end <= FOREVER:
            yield period
            period = self.period_at(period.end)

    def due(self, next_start: datetime, slot: datetime) -> Iterator[Period]:
        """What has to be billed at `slot` by a subscription whose next unbilled period starts at `next_start`."""
        for period in self.periods(next_start):
            if period.start > slot:
                return
            yield Period(max(period.start, next_start), period.end)


@lru_cache(maxsize=8192)
def _period_at(cycle: Cycle, moment: datetime) -> Period:
    """Kept, as an invoice asks for the same period once a line, and a run for those of many alike."""
    n = cycle.index_at(moment)
    return Period(cycle.boundary(n), cycle.boundary(n + 1))


def cycle_on_day(start: datetime, day: int, zone: str = "UTC") -> Cycle:
    """The monthly cycle on a day of the month, whose anchor is the first such day, clamped, on or after `start`'s."""
    local = start.astimezone(zone_of(zone))
    midnight = datetime(local.year, local.month, 1)  # noqa: DTZ001 - a wall clock, given its zone below
    anchor = _add_months(midnight, 0, day)
    if anchor.date() < local.date():
        anchor = _add_months(midnight, 1, day)
    return Cycle(anchor.replace(tzinfo=zone_of(zone)), zone, day=day)


def calendar_month(year: int, month: int, zone: str = "UTC") -> Period:
    """A calendar month as the zone sees it."""
    return cycle_on_day(datetime(year, month, 1, tzinfo=zone_of(zone)), 1, zone).period_at(
        datetime(year, month, 1, tzinfo=zone_of(zone))
    )


def _add_months(wall: datetime, months: int, day: int) -> datetime:
    years, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    last = calendar.monthrange(years, month + 1)[1]
    return wall.replace(year=years, month=month + 1, day=min(day, last))
