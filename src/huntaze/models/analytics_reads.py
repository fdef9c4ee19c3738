"""What a creator, an insight or a report reads: key figures, series, ranks, cohorts, the best hours.

One place for all, so that a report says what the API says. `session` is the caller's transaction; every query names
the creator.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import analytics_books
from huntaze.models.analytics_pieces import Counted, Numbered, by_label, count, pieces
from huntaze.pipelines.analytics import ranges, statistics
from huntaze.pipelines.analytics.buckets import month_start, months_before, months_between, next_month
from huntaze.pipelines.analytics.metrics import METRICS
from huntaze.pipelines.analytics.ranges import BadRange, Granularity, Range, Span, cut, zone_named
from huntaze.pipelines.analytics.sketches import count_persons, percentile, unite_persons
from huntaze.pipelines.analytics.statistics import Cohort, Compared, Figure, Hour, Point, Top

ACTIVITY = ("messages.sent", "content.views", "logins")  # what makes a fan an active one
_COUNTED = (
    *(*ACTIVITY, "messages.response", "offers.shown", "offers.redeemed"),
    *("subscriptions.started", "subscriptions.ended", "videos.uploaded", "ai.calls", "ai.cost"),
)
REVENUE = "revenue"  # a series beside those of the registry: of the ledger
MOST_HOURS_DAYS = 31  # of a series by the hour
MOST_COHORTS = 24
_WEEKS = 28  # days in which the best hours are looked for
_BEFORE_MONTHS = 36  # before the first cohort, in which a person may have been seen first

_ZONE = text("""
    SELECT coalesce((SELECT zone FROM analytics_zones WHERE creator_id = :creator_id),
                    (SELECT time_zone FROM users WHERE id = :creator_id), 'UTC')
""")
_NOW = text("SELECT clock_timestamp()")
_HOURS = text("""
    SELECT bucket, sum(count) AS facts FROM analytics_buckets
    WHERE creator_id = :creator_id AND metric = ANY (cast(:metrics AS text[])) AND bucket >= :start AND bucket < :end
    GROUP BY bucket
""")


def wanted_range(
    session: Session,
    creator_id: uuid.UUID,
    first: date | None = None,
    last: date | None = None,
    zone: str | None = None,
) -> Range:
    """The days that were asked for; what is left out makes it the last thirty, in the creator's zone. Raises
    BadRange."""
    own = own_zone(session, creator_id)
    chosen = own if zone is None else zone_named(zone)
    if chosen is None:
        raise BadRange("zone", "There is no such zone; write it as Europe/Paris (IANA).")
    now: datetime = session.execute(_NOW).scalar_one()
    return ranges.ending(first, last, now.astimezone(chosen).date(), chosen, own)


def own_zone(session: Session, creator_id: uuid.UUID) -> ZoneInfo:
    """The zone that the creator's days are kept for."""
    return zone_named(session.execute(_ZONE, {"creator_id": creator_id}).scalar_one()) or ranges.UTC_ZONE


def _whole(wanted: Range) -> Span:
    return Span(*wanted.bounds, wanted.first, wanted.last)


def summary(session: Session, creator_id: uuid.UUID, wanted: Range) -> list[Figure]:
    """The key figures of a range. A figure of which nothing can be told has no value."""
    span = _whole(wanted)
    of = pieces(session, creator_id, wanted, [span])
    found = count(session, of, _COUNTED, persons=ACTIVITY, values=("messages.response",))
    figures = [*_of_fans(found), *_of_offers(found), *_of_subscriptions(session, creator_id, wanted, found)]
    return [*figures, *_of_own(found), *_of_money(session, creator_id, span)]


def _of_fans(found: Numbered) -> list[Figure]:
    active = count_persons(unite_persons(found[0, metric].persons for metric in ACTIVITY))
    viewers = count_persons(found[0, "content.views"].persons)
    response = found[0, "messages.response"].values
    return [
        Figure(
            "fans.active",
            active.persons,
            "persons",
            "fans who wrote, looked or logged in",
            None,
            active.low,
            active.high,
        ),
        Figure("messages.sent", found[0, "messages.sent"].count, "count", "messages sent"),
        Figure("messages.response_median", percentile(response, 0.5), "ms", "time to an answer, the median"),
        Figure("messages.response_p95", percentile(response, 0.95), "ms", "time to an answer, 95 of 100 within"),
        Figure("content.views", found[0, "content.views"].count, "count", "views of content"),
        Figure("content.viewers", viewers.persons, "persons", "fans who looked", None, viewers.low, viewers.high),
        Figure("logins", found[0, "logins"].count, "count", "logins of fans"),
    ]


def _of_offers(found: Numbered) -> list[Figure]:
    shown, redeemed = found[0, "offers.shown"].count, found[0, "offers.redeemed"].count
    return [
        Figure("offers.shown", shown, "count", "times that an offer was shown"),
        Figure("offers.redeemed", redeemed, "count", "offers taken"),
        Figure("offers.conversion", statistics.share(redeemed, shown), "share", "offers taken of those shown"),
    ]


def _of_subscriptions(session: Session, creator_id: uuid.UUID, wanted: Range, found: Numbered) -> list[Figure]:
    started, ended = found[0, "subscriptions.started"].count, found[0, "subscriptions.ended"].count
    figures = [
        Figure("subscriptions.started", started, "count", "subscriptions that began"),
        Figure("subscriptions.ended", ended, "count", "subscriptions that ended"),
    ]
    before = _before(session, creator_id, wanted)
    lost = statistics.churn(before[0, "subscriptions.started"].count, before[0, "subscriptions.ended"].count, ended)
    return [*figures, Figure("subscriptions.churn", lost, "share", "ended of those there at the start")]


def _before(session: Session, creator_id: uuid.UUID, wanted: Range) -> Numbered:
    """All that happened in the ten years before the range, by the creator's own days."""
    past = Range(months_before(wanted.first, 120), ranges.day_before(wanted.first), wanted.zone)
    metrics = ("subscriptions.started", "subscriptions.ended")
    return count(session, pieces(session, creator_id, past, [_whole(past)]), metrics)


def _of_own(found: Numbered) -> list[Figure]:
    videos, calls, cost = (found[0, name] for name in ("videos.uploaded", "ai.calls", "ai.cost"))
    return [
        Figure("videos.uploaded", videos.count, "count", "videos uploaded"),
        Figure("videos.bytes", videos.total, "bytes", "size of videos uploaded"),
        Figure("ai.calls", calls.count, "count", "calls of AI"),
        Figure("ai.cost", cost.total, "micro-USD", "cost of AI"),
    ]


def _of_money(session: Session, creator_id: uuid.UUID, span: Span) -> list[Figure]:
    return [
        Figure(f"revenue.{name}", getattr(row, name), "minor", about, row.currency)
        for _, row in analytics_books.revenue(session, creator_id, [span])
        for name, about in _MONEY.items()
    ]


_MONEY = {
    "gross": "invoiced, without tax",
    "given_back": "given back by credit notes",
    "net": "revenue by the ledger",
    "written_off": "given up or given away",
}


def compare(session: Session, creator_id: uuid.UUID, wanted: Range) -> tuple[Range, list[Compared]]:
    """The period before, and each key figure beside its own of then."""
    earlier = wanted.before()
    return earlier, statistics.compare(summary(session, creator_id, wanted), summary(session, creator_id, earlier))


@dataclass(frozen=True)
class Series:
    """A metric over time. `unit`: of the totals, None where there are none; of revenue `minor`, in `currency`."""

    metric: str
    label: str | None
    unit: str | None
    currency: str | None
    points: Sequence[Point]


def series(
    session: Session, creator_id: uuid.UUID, wanted: Range, metric: str, by: Granularity, label: str | None = None
) -> Series:
    """Every piece of the range, those with nothing too. `metric`: of the registry, or `revenue` with a currency as its
    label. Raises BadRange, and KeyError for a metric that is not known."""
    if by is Granularity.HOUR and wanted.days > MOST_HOURS_DAYS:
        raise BadRange(
            "granularity", f"By the hour a range may have {MOST_HOURS_DAYS} days; this one has {wanted.days}."
        )
    spans = cut(wanted, by)
    if metric == REVENUE:
        return _revenue_series(session, creator_id, wanted, by, spans, label)
    known = METRICS[metric]
    of = pieces(session, creator_id, wanted, spans, by)
    some = (metric,)
    found = count(
        session, of, some, label=label, persons=some if known.persons else (), values=some if known.spread else ()
    )
    empty = Counted()
    points = [_point(span, by, wanted, found.get((n, metric), empty), known.persons) for n, span in enumerate(spans)]
    return Series(metric, label, known.unit, None, points)


def _point(span: Span, by: Granularity, wanted: Range, counted: Counted, persons: bool) -> Point:
    return Point(
        _start(span, by, wanted),
        counted.count,
        counted.total,
        count_persons(counted.persons) if persons else None,
        percentile(counted.values, 0.5),
        percentile(counted.values, 0.95),
    )


def _start(span: Span, by: Granularity, wanted: Range) -> date | str:
    return span.start.astimezone(wanted.zone).isoformat() if by is Granularity.HOUR else span.first


def _revenue_series(
    session: Session, creator_id: uuid.UUID, wanted: Range, by: Granularity, spans: Sequence[Span], label: str | None
) -> Series:
    rows = analytics_books.revenue(session, creator_id, spans)
    weights = Counter[str]()
    for _, row in rows:
        weights[row.currency] += row.postings
    currency = label or (min(weights, key=lambda one: (-weights[one], one)) if weights else None)
    kept = {n: row for n, row in rows if row.currency == currency}
    points = [
        Point(_start(span, by, wanted), kept[n].postings if n in kept else 0, kept[n].net if n in kept else 0)
        for n, span in enumerate(spans)
    ]
    return Series(REVENUE, label, "minor", currency, points)


def top(
    session: Session, creator_id: uuid.UUID, wanted: Range, metric: str, *, by_total: bool, limit: int
) -> list[Top]:
    """The labels of a metric with most facts, or with the highest total."""
    of = pieces(session, creator_id, wanted, [_whole(wanted)])
    return [Top(*row) for row in by_label(session, of, metric, by_total=by_total, limit=limit)]


def best_hours(session: Session, creator_id: uuid.UUID, wanted: Range, most: int = 3) -> list[Hour]:
    """When fans are most active, by the zone's clock; of the range's last four weeks at most: each weekday alike."""
    start, end = Range(wanted.last - ranges.days(min(wanted.days, _WEEKS) - 1), wanted.last, wanted.zone).bounds
    given = {"creator_id": creator_id, "metrics": list(ACTIVITY), "start": start, "end": end}
    counts = Counter[tuple[int, int]]()
    for row in session.execute(_HOURS, given):
        local = row.bucket.astimezone(wanted.zone)
        counts[local.isoweekday(), local.hour] += int(row.facts)
    return statistics.best_hours(counts, most)


def cohorts(session: Session, creator_id: uuid.UUID, wanted: Range, months: int) -> list[Cohort]:
    """Of `months` months up to that of the range's last day: who was first seen in each, and who came back. By the
    months of the creator's own zone."""
    first, until = months_before(wanted.last, months - 1), ranges.day_before(next_month(wanted.last))
    start = months_before(first, _BEFORE_MONTHS)
    past = Range(start, until, wanted.zone)
    spans = cut(past, Granularity.MONTH)
    found = count(session, pieces(session, creator_id, past, spans), ACTIVITY, persons=ACTIVITY)
    seen = {span.first: unite_persons(found[n, metric].persons for metric in ACTIVITY) for n, span in enumerate(spans)}
    return statistics.cohorts(seen, list(months_between(month_start(first), until)))
