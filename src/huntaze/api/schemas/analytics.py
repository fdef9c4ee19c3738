"""Shapes of reads of figures. Money is minor units of its currency, cost of AI millionths of a US dollar."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from huntaze.models.analytics_reads import Series
from huntaze.pipelines.analytics.ranges import Range
from huntaze.pipelines.analytics.statistics import Cohort, Compared, Figure, Hour, Point, Top

_RANGE: dict[str, Any] = {"first": "2026-10-01", "last": "2026-10-31", "zone": "Europe/Paris"}
_FIGURE: dict[str, Any] = {
    "name": "fans.active",
    "value": 812,
    "unit": "persons",
    "currency": None,
    "low": 812,
    "high": 812,
    "about": "fans who wrote, looked or logged in",
}
_HOUR: dict[str, Any] = {"weekday": 7, "hour": 21, "count": 940, "share": 0.031}


def _shape(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class RangeView(BaseModel):
    """Whole days of a zone's calendar, both included."""

    model_config = _shape(_RANGE)

    first: date
    last: date
    zone: str

    @classmethod
    def of(cls, wanted: Range) -> Self:
        return cls(first=wanted.first, last=wanted.last, zone=wanted.zone.key)


class FigureView(BaseModel):
    """One number. `low` and `high` hold in 95 of 100 cases; they are equal where it was counted."""

    model_config = _shape(_FIGURE)

    name: str
    value: int | float | None = Field(description="null: there is nothing of which it could be told")
    unit: str = Field(description="count, persons, ms, bytes, micro-USD, share (0..1), minor (of `currency`)")
    currency: str | None
    low: int | None
    high: int | None
    about: str

    @classmethod
    def of(cls, figure: Figure) -> Self:
        return cls(**asdict(figure))


class HourView(BaseModel):
    """An hour of the week, by the zone's clock."""

    model_config = _shape(_HOUR)

    weekday: int = Field(description="1 is Monday")
    hour: int
    count: int
    share: float


class SummaryView(BaseModel):
    """Key figures of a range."""

    model_config = _shape({"range": _RANGE, "figures": [_FIGURE], "best_hours": [_HOUR]})

    range: RangeView
    figures: list[FigureView]
    best_hours: list[HourView] = Field(description="when fans are most active, fullest first")

    @classmethod
    def of(cls, wanted: Range, figures: Sequence[Figure], hours: Sequence[Hour]) -> Self:
        return cls(
            range=RangeView.of(wanted),
            figures=[FigureView.of(one) for one in figures],
            best_hours=[HourView(**asdict(one)) for one in hours],
        )


class PlatformView(BaseModel):
    """The platform's own figures."""

    model_config = _shape({"range": _RANGE, "figures": [_FIGURE]})

    range: RangeView
    figures: list[FigureView]


class ComparedView(FigureView):
    """A figure beside that of the period before."""

    model_config = _shape({**_FIGURE, "before": 700, "change": 0.16})

    before: int | float | None
    change: float | None = Field(description="relative; of shares the difference; null: from nought, or of nothing")


class CompareView(BaseModel):
    """A range beside the one before it."""

    model_config = _shape(
        {
            "range": _RANGE,
            "before": _RANGE | {"first": "2026-09-01", "last": "2026-09-30"},
            "figures": [{**_FIGURE, "before": 700, "change": 0.16}],
        }
    )

    range: RangeView
    before: RangeView = Field(description="as many days before; of whole months, the months before")
    figures: list[ComparedView]

    @classmethod
    def of(cls, wanted: Range, earlier: Range, compared: Sequence[Compared]) -> Self:
        figures = [ComparedView(**asdict(one.figure), before=one.before, change=one.change) for one in compared]
        return cls(range=RangeView.of(wanted), before=RangeView.of(earlier), figures=figures)


class PointView(BaseModel):
    """A piece of a series."""

    model_config = _shape({"start": "2026-10-01", "count": 31, "total": 0, "persons": 12, "median": None, "p95": None})

    start: str = Field(description="its first day; of an hour, its local time with the offset")
    count: int
    total: int = Field(description="of the values, in `unit`")
    persons: int | None
    median: float | None
    p95: float | None

    @classmethod
    def of(cls, point: Point) -> Self:
        persons = None if point.persons is None else point.persons.persons
        return cls(
            start=str(point.start),
            count=point.count,
            total=point.total,
            persons=persons,
            median=point.median,
            p95=point.p95,
        )


class SeriesView(BaseModel):
    """A metric over time; a piece with nothing is there too."""

    model_config = _shape(
        {
            "range": _RANGE,
            "metric": "messages.sent",
            "label": None,
            "granularity": "day",
            "unit": None,
            "currency": None,
            "points": PointView.model_config["json_schema_extra"]["examples"],  # type: ignore[index]
        }
    )

    range: RangeView
    metric: str
    label: str | None
    granularity: str
    unit: str | None
    currency: str | None
    points: list[PointView]

    @classmethod
    def of(cls, wanted: Range, granularity: str, series: Series) -> Self:
        return cls(
            range=RangeView.of(wanted),
            metric=series.metric,
            label=series.label,
            granularity=granularity,
            unit=series.unit,
            currency=series.currency,
            points=[PointView.of(point) for point in series.points],
        )


class TopRow(BaseModel):
    """A label, by rank."""

    model_config = _shape({"label": "beach.mp4", "count": 311, "total": 0})

    label: str
    count: int
    total: int


class TopView(BaseModel):
    """The labels of a metric with most."""

    model_config = _shape(
        {"range": _RANGE, "metric": "content.views", "rows": [{"label": "beach.mp4", "count": 311, "total": 0}]}
    )

    range: RangeView
    metric: str
    rows: list[TopRow]

    @classmethod
    def of(cls, wanted: Range, metric: str, rows: Sequence[Top]) -> Self:
        return cls(range=RangeView.of(wanted), metric=metric, rows=[TopRow(**asdict(row)) for row in rows])


class CohortView(BaseModel):
    """Fans who were first seen in a month, and how many of them in each month since: the first entry is all."""

    model_config = _shape({"month": "2026-09", "persons": 40, "retained": [40, 22], "shares": [1.0, 0.55]})

    month: str
    persons: int
    retained: list[int]
    shares: list[float]


class CohortsView(BaseModel):
    """Retention by month."""

    model_config = _shape(
        {"zone": "Europe/Paris", "cohorts": CohortView.model_config["json_schema_extra"]["examples"]}  # type: ignore[index]
    )

    zone: str
    cohorts: list[CohortView]

    @classmethod
    def of(cls, wanted: Range, cohorts: Sequence[Cohort]) -> Self:
        rows = [
            CohortView(
                month=f"{one.month:%Y-%m}", persons=one.persons, retained=list(one.retained), shares=list(one.shares)
            )
            for one in cohorts
        ]
        return cls(zone=wanted.zone.key, cohorts=rows)
