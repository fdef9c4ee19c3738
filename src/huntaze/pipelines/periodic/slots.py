"""The slots of a cron expression: the moments, in UTC, at which a periodic entry is due.

`cron` has five fields; all functions raise cronsim.CronSimError for one that cannot be read.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

_INSTANT = timedelta(microseconds=1)


def slots(cron: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The slots in (after, until]: what became due since the last look."""
    for slot in CronSim(cron, after.astimezone(UTC)):
        if slot > until:
            return
        yield slot


def slots_between(cron: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """The slots in [start, end): ranges that touch neither share a slot nor lose one."""
    return slots(cron, start - _INSTANT, end - _INSTANT)


def latest_slot(cron: str, moment: datetime) -> datetime | None:
    """The last slot that has come; None: none in fifty years."""
    # Backwards, cronsim begins below the moment; a second above it no other slot can be.
    ceiling = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return next(CronSim(cron, ceiling, reverse=True), None)


def next_slot(cron: str, moment: datetime) -> datetime | None:
    """The first slot that is still to come; None: none in fifty years."""
    return next(CronSim(cron, moment.astimezone(UTC)), None)
