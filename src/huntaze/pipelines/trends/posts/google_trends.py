"""`apify/google-trends-scraper`: no posts, but how much was searched for."""

from datetime import datetime

from huntaze.pipelines.trends.posts.fields import Item, count, first, label, moment
from huntaze.pipelines.trends.posts.identity import AuthorKeys
from huntaze.pipelines.trends.posts.post import Interest, InterestPoint, NoPost, Outcome, Row, quarantined

_POINTS_MOST = 2000


def normalise(item: Item, keys: AuthorKeys, observed_at: datetime) -> Row:  # noqa: ARG001 - the shape of all normalisers
    """The timeline of a term, 0..100 relative to its own highest point."""
    term = label(first(item, "searchTerm", "inputUrlOrTerm"), 200)
    if term is None:
        return quarantined("id_missing")
    timeline = item.get("interestOverTime_timelineData")
    if not isinstance(timeline, list):
        return quarantined("time_missing")
    points = {}
    for one in timeline[:_POINTS_MOST]:
        when = moment(observed_at, one.get("time")) if isinstance(one, dict) else None
        if when is not None:
            points[when[0]] = InterestPoint(term, when[0], _value(one))
    if not points:
        return NoPost(Outcome.SENTINEL, "no_results") if not timeline else quarantined("time_missing")
    return Interest(tuple(points.values()))


def _value(point: Item) -> int | None:
    values, has_data = point.get("value"), point.get("hasData")
    if not isinstance(values, list) or not values or (isinstance(has_data, list) and has_data[:1] == [False]):
        return None
    value = count(values[0])
    return value if value is not None and value <= 100 else None
