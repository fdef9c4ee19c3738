"""The arithmetic of the AI budget: whom a call is charged to, when a budget resets, where the month is heading.

Amounts are integers of micro-USD (millionths of a dollar). Months are UTC.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

DEFAULT_MONTHLY_MICRO_USD = 1_000_000_000  # the limit of the whole where nobody has set another: $1,000
WARN_PERCENT = (80, 95)  # of a limit: told once a month and scope, when so much is spent

Kind = Literal["total", "role", "creator"]
_DAY_S = 86_400


@dataclass(frozen=True)
class Scope:
    """Something that may have a monthly limit: all calls, those of a role, or those for a creator."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        """As it stands in the ledger."""
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @classmethod
    def parse(cls, written: str) -> "Scope":
        """Raises ValueError for what is no scope."""
        kind, _, name = written.partition(":")
        if kind == "total" and not name:
            return TOTAL
        if kind == "role" and name:
            return cls("role", name)
        if kind == "creator" and name:
            return cls("creator", str(uuid.UUID(name)))
        raise ValueError(f"{written!r} is no scope of a budget")


TOTAL = Scope("total")


def scopes_of(role: str, creator_id: uuid.UUID | None) -> list[str]:
    """Everything that a call counts towards, sorted: the order in which the rows are locked."""
    scopes = [TOTAL, Scope("role", role)]
    if creator_id is not None:
        scopes.append(Scope("creator", str(creator_id)))
    return sorted(map(str, scopes))


def month_after(moment: datetime) -> datetime:
    """When the budget of this moment's month resets: the first of the next month, UTC."""
    at = moment.astimezone(UTC)
    return datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)


def share_spent(spent: int, limit: int) -> float:
    """0 for nothing, 1 for all of the limit; a limit of nothing is spent."""
    return 1.0 if limit == 0 else spent / limit


FORECAST_FROM = timedelta(days=7)


def forecast(spent: int, lately: int, lately_s: float, left_s: float) -> int:
    """What the month will have cost at its end, if it goes on as it went `lately`.

    `lately`: cost of the last `lately_s` seconds, which may reach into the month before; they count as a day at least,
    so that one call in a fleet's first minute is no rate. `left_s`: seconds until the month's end.
    """
    if spent < 0 or lately < 0 or left_s < 0:
        raise ValueError("amounts and times are not negative")
    return spent + round(lately * left_s / max(lately_s, _DAY_S))
