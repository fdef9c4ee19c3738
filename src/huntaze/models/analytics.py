"""Facts by month, and what was counted of them: quarters of an hour in UTC, days and months of each creator's zone.

No foreign keys lead to `users`: a look-up for each of a million rows would cost more than loading them.
"""

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from huntaze.models.base import Base, new_id

# Codes, not prose: compared by bytes, which is quicker and the same under every locale.
_CODE = String(64, collation="C")


class Xid8(UserDefinedType[str]):
    """A transaction's id, never used twice. Read and written as text."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


ischema_names["xid8"] = Xid8  # so that a comparison with the database knows the type

# The months are tables of the schema `analytics` (models/analytics_partitions.py). What makes a fact the only one of
# its id is `EventId`: a unique index here would hold within one month alone.
FACTS = Table(
    "analytics_facts",
    Base.metadata,
    Column("creator_id", Uuid(), nullable=False),
    Column("event_id", Uuid(), nullable=False),
    Column("bucket", TIMESTAMP(timezone=True), nullable=False),
    Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
    Column("xid", Xid8(), server_default=text("pg_current_xact_id()"), nullable=False),  # who wrote it: see `roll`
    Column("value", BigInteger, nullable=False),  # in the metric's unit; 0 where it has none
    Column("person", BigInteger),  # a pseudonym; NULL where nobody is counted
    Column("metric", _CODE, nullable=False),
    Column("label", _CODE, nullable=False),  # '' where the metric has none
    CheckConstraint(
        "bucket = date_bin('00:15:00'::interval, occurred_at, '1970-01-01 00:00:00+00'::timestamptz)",
        name="bucket_of_time",
    ),
    Index(None, "creator_id", "bucket", "metric"),  # all facts of one bucket
    Index(None, "xid"),  # the new ones
    Index("ix_analytics_facts_bucket", "bucket", postgresql_using="brin"),  # all creators' in a range
    postgresql_partition_by="RANGE (bucket)",
)


class EventId(Base):
    """An event that was taken, wherever in time it lies now. It outlives an erased fact: no repeat brings it back."""

    __tablename__ = "analytics_event_ids"

    creator_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    bucket: Mapped[datetime]
    revision: Mapped[int] = mapped_column(SmallInteger)


class Cursor(Base):
    """How far facts are counted: one row."""

    __tablename__ = "analytics_cursor"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    after: Mapped[str] = mapped_column(Xid8(), server_default="0")  # of all transactions up to it
    facts_from: Mapped[datetime | None]  # older facts are dropped, and their buckets final; None: none ever was
    rolled_at: Mapped[datetime | None]


def _marks(name: str, moment: Column[Any]) -> Table:
    """What has to be done, by name; written without looking, taken by deletion: a thing that is named twice is done
    twice at worst."""
    return Table(
        name,
        Base.metadata,
        Column("creator_id", Uuid(), nullable=False),
        Column("metric", _CODE, nullable=False),
        moment,
    )


# Rows of other domains that tell of something, by table: triggers name them in the transaction that writes them
# (migration 0019), and `analytics_sources` takes them away by deletion.
HEARD = Table(
    "analytics_heard",
    Base.metadata,
    Column("source", _CODE, nullable=False),
    Column("row_id", Uuid(), nullable=False),
)
# Buckets to be counted anew, though no fact is new: one was replaced, or erased.
DIRTY = _marks("analytics_dirty", Column("bucket", TIMESTAMP(timezone=True), nullable=False))
# Buckets that were counted since their day was derived; months of which a day was derived since they were.
STALE = _marks("analytics_stale", Column("bucket", TIMESTAMP(timezone=True), nullable=False))
STALE_MONTHS = _marks("analytics_stale_months", Column("start", Date, nullable=False))


class _Figures:
    """What is known of many facts. Persons and values stand there as they are while they are few, else as a sketch
    (pipelines/analytics/sketches.py); in neither form where the metric has none."""

    count: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[Decimal] = mapped_column(Numeric())  # of the values, whole: a sum of bigints may be larger than one
    least: Mapped[int] = mapped_column(BigInteger)
    most: Mapped[int] = mapped_column(BigInteger)
    persons: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))  # sorted, each once
    persons_sketch: Mapped[bytes | None] = mapped_column(LargeBinary)
    spread: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))  # sorted, repeats included
    spread_sketch: Mapped[bytes | None] = mapped_column(LargeBinary)


class Bucket(_Figures, Base):
    """A quarter of an hour, in UTC."""

    __tablename__ = "analytics_buckets"

    creator_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(_CODE, primary_key=True)
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(_CODE, primary_key=True)


class Period(_Figures, Base):
    """A day or a month of the creator's zone, made of the buckets; of months, of the days."""

    __tablename__ = "analytics_periods"
    __table_args__ = (CheckConstraint("grain IN ('day', 'month')", name="grain_known"),)

    creator_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(_CODE, primary_key=True)
    grain: Mapped[str] = mapped_column(String(8, collation="C"), primary_key=True)
    start: Mapped[date] = mapped_column(Date, primary_key=True)
    label: Mapped[str] = mapped_column(_CODE, primary_key=True)


class Zone(Base):
    """The zone in which a creator's days were derived. `asked` is the creator's own word for it, which may be none."""

    __tablename__ = "analytics_zones"

    creator_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    asked: Mapped[str] = mapped_column(String(64))
    zone: Mapped[str] = mapped_column(String(64))


class Erasure(Base):
    """The receipt of one person's deletion. It names the pseudonym: a later look can show that nothing is left."""

    __tablename__ = "analytics_erasures"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID | None] = mapped_column(index=True)  # None: of every creator's facts
    person: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[int] = mapped_column(BigInteger, default=0)  # deleted
    buckets: Mapped[int] = mapped_column(BigInteger, default=0)  # counted anew
    asked_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    done_at: Mapped[datetime | None]
