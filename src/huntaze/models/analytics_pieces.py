"""What was counted in pieces of a range, from the fewest rows that hold it.

In the creator's own zone whole months are read as months, and the rest as days; a month that lags behind its days is
read by its days, so that a sum is the sum of its parts at any moment. In another zone, and by the hour, quarters of an
hour are read. `session` is the caller's transaction.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from huntaze.pipelines.analytics.ranges import Granularity, Range, Span, cover
from huntaze.pipelines.analytics.sketches import Held, merge_values, unite_persons

_COLUMNS = """kept.metric, kept.label, kept.count, kept.total, kept.persons, kept.persons_sketch, kept.spread,
           kept.spread_sketch"""
_OF_ONE = """kept.creator_id = :creator_id AND kept.metric = ANY (cast(:metrics AS text[]))
       AND (cast(:label AS text) IS NULL OR kept.label = :label)"""
_PERIODS = f"""
    SELECT part.n + CASE WHEN :each THEN kept.start - part.first ELSE 0 END AS n, {_COLUMNS}
    FROM unnest(cast(:ns AS int[]), cast(:grains AS text[]), cast(:firsts AS date[]), cast(:lasts AS date[]))
         AS part (n, grain, first, last)
    JOIN analytics_periods AS kept
    ON {_OF_ONE} AND kept.grain = part.grain COLLATE "C" AND kept.start BETWEEN part.first AND part.last
"""  # noqa: S608 - of constants
_BUCKETS = f"""
    SELECT part.n, {_COLUMNS}
    FROM unnest(cast(:ns AS int[]), cast(:starts AS timestamptz[]), cast(:ends AS timestamptz[]))
         AS part (n, start, "end")
    JOIN analytics_buckets AS kept ON {_OF_ONE} AND kept.bucket >= part.start AND kept.bucket < part.end
"""  # noqa: S608 - of constants
_SUMS = "SELECT n, metric, sum(count) AS facts, sum(total) AS total FROM ({piece}) AS piece GROUP BY n, metric"
_LABELS = """
    SELECT label, sum(count) AS facts, sum(total) AS total FROM ({piece}) AS piece GROUP BY label
    ORDER BY CASE WHEN :by_total THEN sum(total) ELSE sum(count) END DESC, label LIMIT :limit
"""
_PERSONS = """
    SELECT n, metric, array_agg(one) AS exact FROM (
        SELECT DISTINCT n, metric, one FROM ({piece}) AS piece, unnest(persons) AS one
    ) AS each GROUP BY n, metric
"""
_PERSON_SKETCHES = "SELECT n, metric, persons_sketch AS sketch FROM ({piece}) AS piece WHERE persons_sketch IS NOT NULL"
_VALUES = """
    SELECT n, metric, array_agg(one) AS exact FROM ({piece}) AS piece, unnest(spread) AS one GROUP BY n, metric
"""
_VALUE_SKETCHES = "SELECT n, metric, spread_sketch AS sketch FROM ({piece}) AS piece WHERE spread_sketch IS NOT NULL"
_LAGGING = text("""
    SELECT DISTINCT start FROM analytics_stale_months
    WHERE creator_id = :creator_id AND start BETWEEN :first AND :last
""")
# The joins are a few ranges of one index; the planner cannot know how few.
_PLAN = tuple(
    text(f"SET LOCAL {name} = off")
    for name in ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_bitmapscan", "enable_seqscan", "jit")
)


def _on(query: str) -> dict[bool, TextClause]:
    """{whether it reads quarters of an hour: the statement}"""
    return {True: text(query.format(piece=_BUCKETS)), False: text(query.format(piece=_PERIODS))}


_SUM, _LABEL = _on(_SUMS), _on(_LABELS)
_WHO = (_on(_PERSONS), _on(_PERSON_SKETCHES))
_HOW_MUCH = (_on(_VALUES), _on(_VALUE_SKETCHES))


@dataclass
class Counted:
    """What one metric came to in one piece."""

    count: int = 0
    total: int = 0
    persons: Held = field(default_factory=Held)
    values: Held = field(default_factory=Held)


@dataclass(frozen=True)
class Pieces:
    """Pieces of a range, and where they are read. `fine`: in quarters of an hour."""

    fine: bool
    given: dict[str, Any]


Numbered = dict[tuple[int, str], Counted]


def pieces(
    session: Session, creator_id: uuid.UUID, wanted: Range, spans: Sequence[Span], by: Granularity = Granularity.DAY
) -> Pieces:
    """The spans, as the queries take them."""
    if by is Granularity.HOUR or not wanted.own:
        given = {
            "ns": list(range(len(spans))),
            "starts": [one.start for one in spans],
            "ends": [one.end for one in spans],
        }
        return Pieces(True, {"creator_id": creator_id, **given})
    if len(spans) == wanted.days:  # each day by itself: one range of the index, numbered by the day
        days = {"ns": [0], "grains": ["day"], "firsts": [wanted.first], "lasts": [wanted.last]}
        return Pieces(False, {"creator_id": creator_id, **days, "each": True})
    limits = {"creator_id": creator_id, "first": wanted.first.replace(day=1), "last": wanted.last}
    lagging = set(session.scalars(_LAGGING, limits))
    rows = [row for n, span in enumerate(spans) for row in _rows(n, span, wanted, lagging)]
    names = ("ns", "grains", "firsts", "lasts")
    given = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    return Pieces(False, {"creator_id": creator_id, **given, "each": False})


def _rows(n: int, span: Span, wanted: Range, lagging: Collection[date]) -> Iterable[tuple[int, str, date, date]]:
    months, runs = cover(Range(span.first, span.last, wanted.zone), lagging)
    yield from ((n, "month", month, month) for month in months)
    yield from ((n, "day", first, last) for first, last in runs)


def count(
    session: Session,
    of: Pieces,
    metrics: Sequence[str],
    *,
    label: str | None = None,
    persons: Sequence[str] = (),
    values: Sequence[str] = (),
) -> Numbered:
    """{(number of the piece, metric): what it came to}, where there is any. `persons`, `values`: metrics of which these
    are read too."""
    for setting in _PLAN:
        session.execute(setting)
    found: Numbered = defaultdict(Counted)
    given = {**of.given, "label": label}
    for row in session.execute(_SUM[of.fine], {**given, "metrics": list(metrics)}):
        found[row.n, row.metric].count, found[row.n, row.metric].total = int(row.facts), int(row.total)
    if persons:
        for key, held in _held(session, of, _WHO, {**given, "metrics": list(persons)}).items():
            found[key].persons = unite_persons(held)
    if values:
        for key, held in _held(session, of, _HOW_MUCH, {**given, "metrics": list(values)}).items():
            found[key].values = merge_values(held)
    return found


def _held(
    session: Session, of: Pieces, queries: tuple[dict[bool, TextClause], ...], given: dict[str, Any]
) -> dict[tuple[int, str], list[Held]]:
    exact, sketched = queries
    parts: dict[tuple[int, str], list[Held]] = defaultdict(list)
    for row in session.execute(exact[of.fine], given):
        parts[row.n, row.metric].append(Held(exact=row.exact))
    for row in session.execute(sketched[of.fine], given):
        parts[row.n, row.metric].append(Held(sketch=row.sketch))
    return parts


def by_label(session: Session, of: Pieces, metric: str, *, by_total: bool, limit: int) -> list[tuple[str, int, int]]:
    """(label, count, total), fullest first; at a tie by label."""
    for setting in _PLAN:
        session.execute(setting)
    given = {**of.given, "metrics": [metric], "label": None, "by_total": by_total, "limit": limit}
    return [(row.label, int(row.facts), int(row.total)) for row in session.execute(_LABEL[of.fine], given)]
