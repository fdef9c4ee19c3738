"""What stands in a report: the same values that the API gives, and how people read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from huntaze.pipelines.analytics.statistics import Cohort, Compared, Hour, Point, Top
from huntaze.pipelines.billing.money import format_money

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MICRO = 1_000_000


@dataclass(frozen=True)
class Line:
    """A metric over time. `unit`: what its values are, for the axis; `values`: counts, or totals of revenue."""

    title: str
    unit: str
    points: Sequence[Point]
    by_total: bool = False
    currency: str | None = None


@dataclass(frozen=True)
class Listing:
    """A table of a report: texts, the first column's to the left."""

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ReportContent:
    """A report of whole days of a zone. `before`: the days that figures are compared with, both included. `words`:
    paragraphs ahead of the figures; `listings`: tables behind the charts."""

    title: str
    creator: str
    first: date
    last: date
    zone: str
    before: tuple[date, date]
    made_at: datetime
    figures: Sequence[Compared]
    lines: Sequence[Line]
    top: Sequence[Top]
    cohorts: Sequence[Cohort]
    hours: Sequence[Hour]
    words: Sequence[str] = ()
    listings: Sequence[Listing] = ()

    @property
    def days(self) -> str:
        """The range, for people."""
        if self.first == self.last:
            return f"{self.first:%-d %B %Y}"
        return f"{self.first:%-d %B %Y} to {self.last:%-d %B %Y}"

    @property
    def empty(self) -> bool:
        """Whether nothing happened at all."""
        return not any(one.figure.value for one in self.figures)


def shown(value: float | None, unit: str, currency: str | None) -> str:
    """A value with its unit: "1,234", "2 min 5 s", "12.5 %", "1,234.50 EUR"; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "minor" and currency is not None:
        return format_money(int(value), currency)
    if unit == "share":
        return f"{value:.1%}".replace("%", " %")
    if unit == "ms":
        return _length(value / 1000)
    if unit == "bytes":
        return _size(value)
    if unit == "micro-USD":
        return f"{value / _MICRO:,.2f} USD" if value == 0 or value >= _MICRO / 100 else "under 0.01 USD"
    return f"{value:,.0f}"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def changed(one: Compared) -> str:
    """The change for people: "+25 %", "-3.0 points"; "new" from nought, nothing where there is nothing to compare."""
    if one.change is None:
        return "new" if one.before == 0 and one.figure.value else ""
    if one.figure.unit == "share":
        return f"{100 * one.change:+.1f} points"
    return "as before" if one.change == 0 else f"{one.change:+,.0%}".replace("%", " %")


def named(one: Compared) -> str:
    """The figure's words, as a title."""
    words = one.figure.about[:1].upper() + one.figure.about[1:]
    return words if one.figure.currency is None else f"{words} ({one.figure.currency})"


def came_back(cohort: Cohort) -> list[str]:
    """Its shares in the months since; dashes where nobody was first seen."""
    return [shown(kept if cohort.persons else None, "share", None) for kept in cohort.shares[1:]]


def hour_named(hour: Hour) -> str:
    """ "Sunday, 21:00 to 22:00"."""
    return f"{WEEKDAYS[hour.weekday - 1]}, {hour.hour:02}:00 to {(hour.hour + 1) % 24:02}:00"
