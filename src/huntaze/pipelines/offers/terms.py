"""What an offer costs, and when: arithmetic of minor units and of wall clocks."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from huntaze.pipelines.errors import Permanent

WHOLE_BP = 10_000  # 100 %


@dataclass(frozen=True)
class Terms:
    """A price in the currency's minor units, or a share off in hundredths of a percent; one of the two."""

    price_minor: int | None = None
    currency: str | None = None
    percent_off_bp: int | None = None


def pays(terms: Terms, price_minor: int, currency: str) -> int:
    """What a fan pays instead of the usual price, in minor units: never more than that, never less than nothing.

    Halves are rounded in the fan's favour. Raises Permanent (`offer.currency`) for a price in another currency.
    """
    if terms.percent_off_bp is not None:
        return price_minor - (2 * price_minor * terms.percent_off_bp + WHOLE_BP) // (2 * WHOLE_BP)
    assert terms.price_minor is not None
    if terms.currency != currency:
        raise Permanent("offer.currency", f"This offer is in {terms.currency}; the price is in {currency}.")
    return min(terms.price_minor, price_minor)


def instant(moment: datetime, zone: str) -> datetime:
    """UTC of a time that names its offset, or of a wall clock's in `zone` (IANA).

    A time that the clock shows twice is the first of the two; one that it skips is as much later as it skips.
    """
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone), fold=0)).astimezone(UTC)
