"""Quarters of an hour in UTC, and the days and months that a zone makes of them.

Every zone's offset is a multiple of 15 minutes since 1972, and so is every change of it: a bucket is of one day only,
in any zone, and a day of 23, 24, 24.5 or 25 hours is a whole number of buckets.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

BUCKET = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def bucket_of(moment: datetime) -> datetime:
    """The start of the bucket, in UTC, that holds an aware moment."""
    moment = moment.astimezone(UTC)
    return moment - (moment - _EPOCH) % BUCKET


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The day on a zone's calendar."""
    return moment.astimezone(zone).date()


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """[start, end) of a zone's day, in UTC.

    Where clocks are put back over midnight, the day begins at the first of the two midnights; where midnight is left
    out, at the moment in its place.
    """
    return _midnight(day, zone), _midnight(day + _DAY, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)  # fold=0: the first of two


def month_start(day: date) -> date:
    """The first day of the day's month."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after the day's."""
    return (month_start(day) + timedelta(days=31)).replace(day=1)


def months_before(day: date, months: int) -> date:
    """The first day of the month that lies so many months before the day's."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def months_between(first: date, last: date) -> Iterator[date]:
    """The first days of all months from `first`'s to `last`'s."""
    month = month_start(first)
    while month <= last:
        yield month
        month = next_month(month)
