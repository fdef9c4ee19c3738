"""A row's figures as values: what buckets, days and months have in common."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from huntaze.models.analytics import Bucket, Period
from huntaze.pipelines.analytics.sketches import Held, merge_values, unite_persons

AT_ONCE = 200  # rows with many persons or values that are in memory at a time


@dataclass(frozen=True)
class Figures:
    """What many facts came to. `total`, `least` and `most` are of the values, in the metric's unit."""

    count: int
    total: int
    least: int
    most: int
    persons: Held
    values: Held


Kept = type[Bucket] | type[Period]


def fold_large(session: Session, table: Kept, keys: Sequence[tuple[object, ...]]) -> None:
    """Makes sketches of what is too much to stand in a row as it is; `keys`: the rows' primary keys."""
    columns = list(table.__table__.primary_key)
    for start in range(0, len(keys), AT_ONCE):
        some = tuple_(*columns).in_(keys[start : start + AT_ONCE])
        rows = session.execute(select(*columns, table.persons, table.spread).where(some)).all()
        names = [column.name for column in columns]
        keep(session, table, [dict(zip(names, row, strict=False)) | _folded(row.persons, row.spread) for row in rows])


def keep(session: Session, table: Kept, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes persons and values (`columns_of`) of rows that are there, by their primary keys."""
    session.execute(update(table), list(rows))


def _folded(persons: list[int] | None, values: list[int] | None) -> dict[str, object]:
    return columns_of(unite_persons([Held(persons)]), merge_values([Held(values)]))


def columns_of(persons: Held, values: Held) -> dict[str, object]:
    """As the columns have them."""
    return {
        "persons": persons.exact,
        "persons_sketch": persons.sketch,
        "spread": values.exact,
        "spread_sketch": values.sketch,
    }


def _figures(row: Bucket | Period) -> Figures:
    return Figures(
        count=row.count,
        total=int(row.total),
        least=row.least,
        most=row.most,
        persons=Held(row.persons, row.persons_sketch),
        values=Held(row.spread, row.spread_sketch),
    )


def buckets(
    session: Session, creator_id: uuid.UUID, metric: str, start: datetime, end: datetime
) -> dict[tuple[datetime, str], Figures]:
    """{(start of the bucket in UTC, label): figures} in [start, end), in order."""
    query = select(Bucket).where(
        Bucket.creator_id == creator_id, Bucket.metric == metric, Bucket.bucket >= start, Bucket.bucket < end
    )
    rows = session.scalars(query.order_by(Bucket.bucket, Bucket.label))
    return {(row.bucket, row.label): _figures(row) for row in rows}


def periods(
    session: Session, creator_id: uuid.UUID, metric: str, grain: str, first: date, last: date
) -> dict[tuple[date, str], Figures]:
    """{(first day on the creator's calendar, label): figures} from `first` to `last`, in order. `grain`: day, month."""
    query = select(Period).where(
        Period.creator_id == creator_id,
        Period.metric == metric,
        Period.grain == grain,
        Period.start >= first,
        Period.start <= last,
    )
    rows = session.scalars(query.order_by(Period.start, Period.label))
    return {(row.start, row.label): _figures(row) for row in rows}
