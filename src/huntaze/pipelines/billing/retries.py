"""When something is tried again: gaps between tries, and how long after the first failure each comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, pairwise


def offsets(gaps: Sequence[int]) -> list[int]:
    """How long after the start each try comes, in the unit of the gaps."""
    return list(accumulate(gaps))


def gap_by_power(attempt: int, power: int = 4) -> int:
    """Seconds after the `attempt`-th failure, counted from 1, that grow by a power of it."""
    return int(attempt**power)


class End(StrEnum):
    """What becomes of a subscription whose last try failed."""

    CANCEL = "cancel"
    PAUSE = "pause"


@dataclass(frozen=True)
class Dunning:
    """A plan's schedule: days between a failed payment and the next try, and the end when the last has failed."""

    gaps_days: tuple[int, ...] = (2, 5, 7, 7)
    end: End = End.CANCEL

    def tries(self, failed_at: datetime) -> list[datetime]:
        """The moments of the tries after the first failure."""
        return [failed_at + timedelta(days=days) for days in offsets(self.gaps_days)]

    @classmethod
    def evenly(cls, tries: int, within_days: int, end: End = End.CANCEL) -> "Dunning":
        """So many tries, the last of them `within_days` after the first failure, gaps as equal as whole days can be."""
        ends = [within_days * at // tries for at in range(tries + 1)]
        return cls(tuple(later - sooner for sooner, later in pairwise(ends)), end)


PATIENT = Dunning.evenly(tries=8, within_days=14)
