"""When a delivery is tried again, and when no more. The delays are those that Standard Webhooks 1.0 recommends."""

import enum
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Seconds after the first, second, ... failure; a failure after the last of them is the end: 27 h 35 min in all.
DELAYS_S = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
ATTEMPTS = len(DELAYS_S) + 1
JITTER = 0.2  # of a delay, to either side: what failed together does not come back together
THROTTLED_S = 60  # the least after 429, 502 and 504, which ask for less of everything
MOST_WAIT_S = 24 * 3600  # however long a receiver asks us to stay away
FAILING = timedelta(days=5)  # without any success: the endpoint is disabled

GONE, THROTTLES = 410, frozenset({429, 502, 504})


class Outcome(enum.StrEnum):
    """What an attempt came to."""

    DELIVERED = "delivered"  # 2xx
    RETRY = "retry"  # failed, and another attempt is due
    EXHAUSTED = "exhausted"  # failed, and was the last attempt
    GONE = "gone"  # 410: nobody wants more of this, the endpoint is disabled


@dataclass(frozen=True)
class Verdict:
    """`delay_s`: until the next attempt. `throttle`: the whole endpoint is left alone for that long."""

    outcome: Outcome
    delay_s: float = 0.0
    throttle: bool = False


def judge(attempt: int, status: int | None, retry_after_s: float | None, spread: float) -> Verdict:
    """What follows from the `attempt`th attempt (from 1) that was answered with `status`; None: with nothing.

    A redirect is a failure. `Retry-After` makes the wait longer, never shorter, and a throttle's wait is the
    endpoint's. `spread`: a random number of [0, 1).
    """
    if status is not None and 200 <= status < 300:
        return Verdict(Outcome.DELIVERED)
    if status == GONE:
        return Verdict(Outcome.GONE)
    throttle = status in THROTTLES
    if attempt > len(DELAYS_S):
        return Verdict(Outcome.EXHAUSTED, throttle=throttle, delay_s=_asked(throttle, retry_after_s))
    planned = DELAYS_S[attempt - 1] * (1 + JITTER * (2 * spread - 1))
    return Verdict(Outcome.RETRY, max(planned, _asked(throttle, retry_after_s)), throttle)


def _asked(throttle: bool, retry_after_s: float | None) -> float:
    return max(THROTTLED_S if throttle else 0.0, min(retry_after_s or 0.0, MOST_WAIT_S))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds, rounded up, or a date (RFC 9110, 10.2.3) -> seconds from `now`; None for what is neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return None
    return float(math.ceil(max(seconds, 0.0))) if math.isfinite(seconds) else None


def is_failing_for_good(failing_since: datetime | None, now: datetime) -> bool:
    """Whether an endpoint that fails without any success since then has had its time."""
    return failing_since is not None and now - failing_since >= FAILING
