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

_OF_ONE = """creator_id = :creator_id AND metric = ANY (cast(:metrics AS text[]))
            AND (cast(:label AS text) IS NULL OR label = :label)"""
# Part by part (`OFFSET 0` keeps it so), each a few ranges of the primary key: joined freely, all that a creator has
# would be held against every part.
_PERIODS = f"""
    SELECT part.n + CASE WHEN :each THEN kept.start - part.first ELSE 0 END AS n, kept.*
    FROM unnest(cast(:ns AS int[]), cast(:grains AS text[]), cast(:firsts AS date[]), cast(:lasts AS date[]))
         AS part (n, grain, first, last)
    CROSS JOIN LATERAL (
        SELECT * FROM analytics_periods
        WHERE {_OF_ONE} AND grain = part.grain COLLATE "C" AND start BETWEEN part.first AND part.last OFFSET 0
    ) AS kept
"""  # noqa: S608 - of constants
_BUCKETS = f"""
    SELECT part.n, kept.*
    FROM unnest(cast(:ns AS int[]), cast(:starts AS timestamptz[]), cast(:ends AS timestamptz[]))
         AS part (n, start, "end")
    CROSS JOIN LATERAL (
        SELECT * FROM analytics_buckets
        WHERE {_OF_ONE} AND bucket >= part.start AND bucket < part."end" OFFSET 0
    ) AS kept
"""  # noqa: S608 - of constants
_ROWS = """
    SELECT n, metric, count, total,
           CASE WHEN metric = ANY (cast(:persons AS text[])) THEN persons END AS persons,
           CASE WHEN metric = ANY (cast(:persons AS text[])) THEN persons_sketch END AS persons_sketch,
           CASE WHEN metric = ANY (cast(:values AS text[])) THEN spread END AS spread,
           CASE WHEN metric = ANY (cast(:values AS text[])) THEN spread_sketch END AS spread_sketch
    FROM ({piece}) AS piece
"""
_LABELS = """
    SELECT label, sum(count) AS facts, sum(total) AS total FROM ({piece}) AS piece GROUP BY label
    ORDER BY CASE WHEN :by_total THEN sum(total) ELSE sum(count) END DESC, label LIMIT :limit
"""
_LAGGING = text("""
    SELECT DISTINCT start FROM analytics_stale_months
    WHERE creator_id = :creator_id AND start BETWEEN :first AND :last
""")


def _on(query: str) -> dict[bool, TextClause]:
    """{whether it reads quarters of an hour: the statement}"""
    return {True: text(query.format(piece=_BUCKETS)), False: text(query.format(piece=_PERIODS))}


_ROW, _LABEL = _on(_ROWS), _on(_LABELS)


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
    found: Numbered = defaultdict(Counted)
    seen: dict[tuple[int, str], list[Held]] = defaultdict(list)
    measured: dict[tuple[int, str], list[Held]] = defaultdict(list)
    given = {"metrics": list(metrics), "label": label, "persons": list(persons), "values": list(values)}
    for row in session.execute(_ROW[of.fine], of.given | given):
        n, metric, facts, total, people, people_sketch, spread, spread_sketch = row
        counted = found[n, metric]
        counted.count += facts
        counted.total += int(total)
        if people or people_sketch:
            seen[n, metric].append(Held(people, people_sketch))
        if spread or spread_sketch:
            measured[n, metric].append(Held(spread, spread_sketch))
    for key, held in seen.items():  # one row's alone are as they have to be
        found[key].persons = unite_persons(held) if len(held) > 1 else held[0]
    for key, held in measured.items():
        found[key].values = merge_values(held) if len(held) > 1 else held[0]
    return found


def by_label(session: Session, of: Pieces, metric: str, *, by_total: bool, limit: int) -> list[tuple[str, int, int]]:
    """(label, count, total), fullest first; at a tie by label."""
    given = {**of.given, "metrics": [metric], "label": None, "by_total": by_total, "limit": limit}
    return [(row.label, int(row.facts), int(row.total)) for row in session.execute(_LABEL[of.fine], given)]
