"""Days of a zone that somebody asks for, cut into hours, days, weeks or months; and the same number of days before."""

import enum
import zoneinfo
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from huntaze.pipelines.analytics.buckets import day_bounds, month_start, months_between, next_month
from huntaze.pipelines.errors import Permanent

MOST_DAYS = 1096  # of a range in the creator's own zone: three years
MOST_DAYS_COUNTED = 93  # where quarters of an hour are read: in another zone, or by the hour
UTC_ZONE = ZoneInfo("UTC")
_DAY = timedelta(days=1)


def days(number: int) -> timedelta:
    """So many days of the calendar."""
    return timedelta(days=number)


def day_before(day: date) -> date:
    """The day before."""
    return day - _DAY


class Granularity(enum.StrEnum):
    """How a range is cut."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday on
    MONTH = "month"


class BadRange(Permanent):
    """A range that cannot be read. `field`: the parameter at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("analytics.bad_range", message)
        self.field = field

    def __reduce__(self) -> tuple[type["BadRange"], tuple[str, str]]:
        return (BadRange, (self.field, self.message))


@dataclass(frozen=True)
class Range:
    """Whole days of a zone's calendar, both included. `own`: the zone is the one that days are kept for."""

    first: date
    last: date
    zone: ZoneInfo
    own: bool = True

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """[start, end) in UTC."""
        return day_bounds(self.first, self.zone)[0], day_bounds(self.last, self.zone)[1]

    def before(self) -> "Range":
        """As many days, up to the day before the first; of a whole month, or of several, the months before it."""
        if self.first.day == 1 and next_month(self.last) == self.last + _DAY:
            months = len(list(months_between(self.first, self.last)))
            first = self.first
            for _ in range(months):
                first = month_start(first - _DAY)
            return Range(first, self.first - _DAY, self.zone, self.own)
        return Range(self.first - timedelta(days=self.days), self.first - _DAY, self.zone, self.own)


@dataclass(frozen=True)
class Span:
    """One piece of a range: [start, end) in UTC, `first` and `last` on the zone's calendar."""

    start: datetime
    end: datetime
    first: date
    last: date


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None where there is none. The name is looked up, never opened as a path."""
    return ZoneInfo(name) if name in _zone_names() else None


def ending(first: date | None, last: date | None, today: date, zone: ZoneInfo, own: ZoneInfo) -> Range:
    """The days that were asked for; what is left out makes it thirty days, up to today. Raises BadRange."""
    if last is None:
        last = today if first is None else max(first, today)
    return check(Range(first or last - timedelta(days=29), last, zone, zone.key == own.key), today)


def check(wanted: Range, today: date) -> Range:
    """The range, if it can be read: within four years and not too long. Raises BadRange."""
    if wanted.last < wanted.first:
        raise BadRange("to", f"`to` is before `from`, which is {wanted.first}.")
    if wanted.first < today - timedelta(days=4 * 366) or wanted.last > today + timedelta(days=366):
        raise BadRange("from", "Figures are read from four years ago to a year ahead.")
    most = MOST_DAYS if wanted.own else MOST_DAYS_COUNTED
    if wanted.days > most:
        why = "" if wanted.own else " in a zone that is not the creator's"
        raise BadRange("from", f"A range{why} may have {most} days; this one has {wanted.days}.")
    return wanted


def cut(wanted: Range, by: Granularity) -> list[Span]:
    """The pieces, in order; the first and the last may be cut short by the range. Hours are those of the zone's clock,
    also where it is half an hour off; the hour in which clocks change may be longer or shorter."""
    if by is Granularity.HOUR:
        return [hour for day in _days(wanted) for hour in _hours(day, wanted.zone)]
    pieces: list[Span] = []
    for first, last in _calendar(wanted, by):
        start, end = day_bounds(first, wanted.zone)[0], day_bounds(last, wanted.zone)[1]
        pieces.append(Span(start, end, first, last))
    return pieces


def _days(wanted: Range) -> Iterator[date]:
    return (wanted.first + timedelta(days=day) for day in range(wanted.days))


def _calendar(wanted: Range, by: Granularity) -> Iterator[tuple[date, date]]:
    first = wanted.first
    while first <= wanted.last:
        after = {
            Granularity.WEEK: first + timedelta(days=7 - first.weekday()),
            Granularity.MONTH: next_month(first),
        }.get(by, first + _DAY)
        yield first, min(after - _DAY, wanted.last)
        first = after


def _hours(day: date, zone: ZoneInfo) -> Iterator[Span]:
    start, end = day_bounds(day, zone)
    while start < end:
        minutes = 60 - start.astimezone(zone).minute
        after = min((start.astimezone(UTC) + timedelta(minutes=minutes)), end)
        yield Span(start, after, day, day)
        start = after


def cover(wanted: Range, without: Collection[date] = ()) -> tuple[list[date], list[tuple[date, date]]]:
    """The fewest kept rows for the range: first days of whole months, but for those in `without`, and the runs of days
    that are left."""
    months: list[date] = []
    runs: list[tuple[date, date]] = []
    for month in months_between(wanted.first, wanted.last):
        first, last = max(month, wanted.first), min(next_month(month) - _DAY, wanted.last)
        if first == month and last + _DAY == next_month(month) and month not in without:
            months.append(month)
        elif runs and runs[-1][1] + _DAY == first:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return months, runs
