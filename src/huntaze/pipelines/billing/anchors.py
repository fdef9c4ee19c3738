"""On which moment a subscription is anchored that is to be billed on a day of the month."""

from datetime import datetime

from huntaze.pipelines.billing.errors import BillingError
from huntaze.pipelines.billing.periods import Cycle, Unit, cycle_on_day, zone_of

_TRIED = 48  # boundaries: each month of a leap year among them


def anchor_on_day(start: datetime, day: int, zone: str, unit: Unit, count: int = 1) -> datetime:
    """The first boundary that is the day itself, midnight of the zone, aware: an anchor on 28 Feb would be billed on
    the 28th for ever, though the 31st was asked for. Cycles go both ways, so the first period still ends at the first
    such day, clamped, on or after `start`'s. Raises BillingError: the plan is of days or weeks, or meets no such day.
    """
    if unit not in (Unit.MONTH, Unit.YEAR):
        raise BillingError("billing.bad_anchor_day", f"A plan by the {unit} has no day of the month.")
    cycle = Cycle(cycle_on_day(start, day, zone).anchor, zone, unit, count, day)
    for n in range(_TRIED):
        anchor = cycle.boundary(n)
        if anchor.astimezone(zone_of(zone)).day == day:
            return anchor
    raise BillingError("billing.bad_anchor_day", f"This plan begins in no month that has a day {day}.")
