"""What figures say together: shares, changes, churn, cohorts, the best hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from datasketches import compact_theta_sketch, theta_a_not_b, theta_intersection, update_theta_sketch

from huntaze.pipelines.analytics.sketches import LG_K, Estimate, Held, count_persons, unite_persons

Value = int | float


@dataclass(frozen=True)
class Figure:
    """One number. `unit`: "count", "persons", "ms", "bytes", "micro-USD", "share" (0..1), or "minor" of `currency`.

    `value` None: there is nothing of which it could be told. `low` and `high`: an estimate's bounds.
    """

    name: str
    value: Value | None
    unit: str
    about: str
    currency: str | None = None
    low: int | None = None
    high: int | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """What it is found by."""
        return self.name, self.currency


@dataclass(frozen=True)
class Compared:
    """A figure beside that of the period before. `change`: relative, 0.25 is a quarter more; None: from nought, or of
    nothing. Of shares it is the difference."""

    figure: Figure
    before: Value | None
    change: float | None


@dataclass(frozen=True)
class Point:
    """One piece of a series: of a day, say."""

    start: date | str  # an hour has its local time with the offset
    count: int = 0
    total: int = 0
    persons: Estimate | None = None
    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True)
class Cohort:
    """The persons who were first seen in a month, and how many of them in each month since (the first is all)."""

    month: date
    persons: int
    retained: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """0..1, by month since the first."""
        return tuple(round(kept / self.persons, 4) if self.persons else 0.0 for kept in self.retained)


@dataclass(frozen=True)
class Hour:
    """An hour of the week on the zone's clock. `weekday`: 1 is Monday; `share` of all that happened."""

    weekday: int
    hour: int
    count: int
    share: float


@dataclass(frozen=True)
class Top:
    """A label of a metric, by rank."""

    label: str
    count: int
    total: int


def share(part: int, whole: int) -> float | None:
    """part / whole, to four decimals; None of nothing."""
    return None if whole <= 0 else round(part / whole, 4)


def churn(began_before: int, ended_before: int, ended: int) -> float | None:
    """The share of those that were there at the start of a period and ended in it, 0..1; None: nobody was there."""
    there = began_before - ended_before
    return None if there <= 0 else round(min(ended / there, 1.0), 4)


def compare(now: Sequence[Figure], before: Sequence[Figure]) -> list[Compared]:
    """Each figure of now beside its own of before, and those that were there before only, with nothing now."""
    earlier = {figure.key: figure for figure in before}
    pairs = [(figure, earlier.pop(figure.key, None)) for figure in now]
    gone = [replace(figure, value=0 if figure.unit == "minor" else None) for figure in earlier.values()]
    pairs += [(figure, next(old for old in before if old.key == figure.key)) for figure in gone]
    return [_compared(figure, old) for figure, old in pairs]


def _compared(figure: Figure, old: Figure | None) -> Compared:
    was = old.value if old is not None else (0 if figure.unit == "minor" else None)
    if figure.value is None or was is None:
        return Compared(figure, was, None)
    if figure.unit == "share":
        return Compared(figure, was, round(figure.value - was, 4))
    return Compared(figure, was, round((figure.value - was) / abs(was), 4) if was else None)


def best_hours(counts: Mapping[tuple[int, int], int], most: int = 3) -> list[Hour]:
    """The fullest hours of the week, fullest first; at a tie the earlier. `counts`: {(weekday, hour): facts}."""
    whole = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [Hour(*slot, count, round(count / whole, 4)) for slot, count in ranked[:most] if count]


def cohorts(seen: Mapping[date, Held], months: Sequence[date]) -> list[Cohort]:
    """Of `months`, which follow one another, the persons that no month of `seen` before had, and who of them came back.

    `seen`: all who were active, by month, from the first month that is known. Exact while a month's persons are;
    of sketches an estimate, as rough as the common part is small.
    """
    known = unite_persons(held for month, held in seen.items() if month < months[0]) if months else Held()
    told = []
    for at, month in enumerate(months):
        active = seen.get(month, Held())
        fresh = _minus(active, known)
        known = unite_persons([known, active])
        kept = [_count(fresh)] + [_count(_common(fresh, seen.get(later, Held()))) for later in months[at + 1 :]]
        told.append(Cohort(month, kept[0], tuple(kept)))
    return told


def _count(held: Held) -> int:
    return count_persons(held).persons


def _theta(held: Held) -> compact_theta_sketch:
    if held.sketch is not None:
        return compact_theta_sketch.deserialize(held.sketch)
    sketch = update_theta_sketch(LG_K)
    for person in held.exact or ():
        sketch.update(person)
    return sketch.compact(True)


def _minus(one: Held, other: Held) -> Held:
    if one.sketch is None and other.sketch is None:
        return Held(sorted(set(one.exact or ()) - set(other.exact or ())))
    return Held(sketch=theta_a_not_b().compute(_theta(one), _theta(other)).serialize())


def _common(one: Held, other: Held) -> Held:
    if one.sketch is None and other.sketch is None:
        return Held(sorted(set(one.exact or ()) & set(other.exact or ())))
    both = theta_intersection()
    both.update(_theta(one))
    both.update(_theta(other))
    return Held(sketch=both.get_result().serialize())
