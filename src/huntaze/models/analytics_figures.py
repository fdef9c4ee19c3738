"""A row's figures as values: what buckets, days and months have in common."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from huntaze.models.analytics import Bucket, Period
from huntaze.pipelines.analytics.sketches import Held


@dataclass(frozen=True)
class Figures:
    """What many facts came to. `total`, `least` and `most` are of the values, in the metric's unit."""

    count: int
    total: int
    least: int
    most: int
    persons: Held
    values: Held


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
