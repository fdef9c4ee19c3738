"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta

from huntaze.cli.output import Failed

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_YEARS = range(1970, 2101)  # a typing error outside of these is no request for a million slots
MOMENT = "2026-11-22T10:00Z or 2026-11-22; UTC unless it names a zone"
LENGTH = "90s, 15m, 2h, 3d or 1w"
SINCE = f"{MOMENT}; or how long ago: {LENGTH}"


def parse_moment(text: str, option: str, accepted: str = MOMENT) -> datetime:
    """ISO 8601 -> aware UTC. Raises Failed (exit code 2)."""
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Failed(f"{option} {text} is no time. Give it as {accepted}.", 2) from None
    if moment.year not in _YEARS:
        raise Failed(f"{option} {text}: the year must be from {_YEARS[0]} to {_YEARS[-1]}.", 2)
    return moment


def parse_length(text: str, option: str) -> timedelta:
    """15m, 2h, 3d -> how long that is. Raises Failed (exit code 2)."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if found is None:
        raise Failed(f"{option} {text} is no length of time. Give it as {LENGTH}.", 2)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def parse_since(text: str | None, option: str, now: datetime) -> datetime | None:
    """A moment, or how long ago it was. Raises Failed (exit code 2)."""
    if text is None:
        return None
    if re.fullmatch(r"\d+[a-z]", text.strip()):
        ago = parse_length(text, option)
        return now - min(ago, now - datetime(_YEARS[0], 1, 1, tzinfo=UTC))
    return parse_moment(text, option, SINCE)


def rough_length(seconds: float) -> str:
    """For people: 41 s, 3 min, 5 h, 12 d."""
    seconds = max(seconds, 0.0)
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds // 86_400:.0f} d"
