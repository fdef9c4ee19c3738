"""A week of trends: the figures of a report, as its pages show them and as a model is shown them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from textwrap import shorten
from typing import Final

from huntaze.pipelines.analytics import statistics
from huntaze.pipelines.analytics.statistics import Compared, Point
from huntaze.pipelines.insights.figures import Figure, compared
from huntaze.pipelines.reports.content import Line, Listing, ReportContent

DAYS: Final = 7
PIECE_H: Final = 6  # hours of a bar
PIECES: Final = DAYS * 24 // PIECE_H
CHARTS: Final = 3  # trends that are drawn
TOLD: Final = 5  # trends whose figures a model is shown
_TITLE = "Weekly trend report"
_FOREIGN: Final = "\u0530"  # Latin, Greek and Cyrillic come before
_NAME_MOST: Final = 60  # characters of a name
_CUT: Final = "…"


@dataclass(frozen=True)
class Risen:
    """A trend of the week. `pieces`: its sampled posts, `PIECE_H` hours each, from the first midnight on."""

    label: str
    state: str
    platforms: Sequence[str]
    started_at: datetime
    strength: float  # of the strongest alarm; 1.0 is the threshold
    posts: int  # of the hours that led to it
    authors: int
    lead_h: int | None
    pieces: Sequence[int]

    @property
    def alarm(self) -> str:
        """The strength as it is shown and quoted."""
        return f"{self.strength:.1f}"


@dataclass(frozen=True)
class Week:
    """What rose in seven days of UTC; `_before`: in the seven before. `days`: trends that began, by day."""

    creator: str
    first: date
    made_at: datetime
    began: int
    began_before: int
    going: int
    sampled: int  # posts
    sampled_before: int
    days: Sequence[int]
    trends: Sequence[Risen]  # the strongest first

    @property
    def last(self) -> date:
        return self.first + timedelta(days=DAYS - 1)


def figures_of(week: Week) -> list[Figure]:
    """All the numbers that a text about the week may quote."""
    figures = compared("trends.began", "trends that began", week.began, week.began_before)
    figures += compared("posts.sampled", "posts that were sampled", week.sampled, week.sampled_before)
    figures.append(Figure("trends.going", Decimal(week.going), "trends that are not over"))
    for number, one in enumerate(week.trends[:TOLD], start=1):
        on = f"{one.state} on {' and '.join(one.platforms)}"
        figures += [
            Figure(f"trend{number}.posts", Decimal(one.posts), f"posts that raised the alarm; {on}", label=one.label),
            Figure(f"trend{number}.authors", Decimal(one.authors), "their authors", label=one.label),
            Figure(f"trend{number}.alarm", Decimal(one.alarm), "times what raises an alarm", label=one.label),
        ]
    return figures


def content_of(week: Week, words: Sequence[str]) -> ReportContent:
    """The report; its charts are drawn from `lines`."""
    days = [Point(week.first + timedelta(days=at), count) for at, count in enumerate(week.days)]
    lines = [Line("Trends that began", "trends", days)]
    lines += [Line(_drawn_title(number, one), "posts", _points(week, one)) for number, one in _drawn(week)]
    rows = [
        (
            f"{number}. {shorten(one.label, _NAME_MOST, placeholder=_CUT)}",
            _stands(one),
            f"{one.posts} by {one.authors}",
            f"{one.alarm} x",
        )
        for number, one in enumerate(week.trends, start=1)
    ]
    return ReportContent(
        title=_TITLE,
        creator=week.creator,
        first=week.first,
        last=week.last,
        zone="UTC",
        before=(week.first - timedelta(days=DAYS), week.first - timedelta(days=1)),
        made_at=week.made_at,
        figures=_cards(week),
        lines=lines,
        top=(),
        cohorts=(),
        hours=(),
        words=words,
        listings=[Listing("The strongest trends", ("Trend", "State, since", "Posts by authors", "Alarm"), rows)],
    )


def _drawn(week: Week) -> list[tuple[int, Risen]]:
    """Those that a chart can show, with their places."""
    return [(number, one) for number, one in enumerate(week.trends, start=1) if any(one.pieces)][:CHARTS]


def _drawn_title(number: int, one: Risen) -> str:
    """A name goes into a picture only if its font has the letters, and none begins a formula; its place always does."""
    plain = all(sign.isprintable() and sign < _FOREIGN and sign != "$" for sign in one.label)
    name = shorten(one.label, _NAME_MOST, placeholder=_CUT) if plain else ""
    return f"{number}. {name} · posts in {PIECE_H} hours".replace("  ", " ")


def _points(week: Week, one: Risen) -> list[Point]:
    starts = [week.first + timedelta(days=at * PIECE_H // 24) for at in range(PIECES)]
    return [Point(f"{start:%-d %b}", posts) for start, posts in zip(starts, one.pieces, strict=True)]


def _stands(one: Risen) -> str:
    return f"{one.state}, {one.started_at:%-d %b}"


def _cards(week: Week) -> list[Compared]:
    leads = [one.lead_h for one in week.trends if one.lead_h is not None]
    lead = statistics.Figure(
        "trends.lead", round(median(leads)) if leads else None, "count", "hours from alarm to peak, the median"
    )
    now = [
        statistics.Figure("trends.began", week.began, "count", "trends that began"),
        statistics.Figure("posts.sampled", week.sampled, "count", "posts that were sampled"),
    ]
    before = [
        statistics.Figure("trends.began", week.began_before, "count", ""),
        statistics.Figure("posts.sampled", week.sampled_before, "count", ""),
    ]
    going = statistics.Figure("trends.going", week.going, "count", "trends that are not over")
    return [*statistics.compare(now, before), Compared(going, None, None), Compared(lead, None, None)]
