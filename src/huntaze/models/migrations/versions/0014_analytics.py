"""facts and rollups"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from huntaze.models.analytics import Xid8

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)


def _code() -> sa.String:
    return sa.String(length=64, collation="C")


def upgrade() -> None:
    op.execute("CREATE SCHEMA analytics")  # of the months of facts, which are made as they are needed
    op.create_table(
        "analytics_facts",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", _MOMENT, nullable=False),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.BigInteger(), nullable=True),
        sa.Column("metric", _code(), nullable=False),
        sa.Column("label", _code(), nullable=False),
        sa.CheckConstraint(
            "bucket = date_bin('00:15:00'::interval, occurred_at, '1970-01-01 00:00:00+00'::timestamptz)",
            name=op.f("ck_analytics_facts_bucket_of_time"),
        ),
        postgresql_partition_by="RANGE (bucket)",
    )
    op.create_index(
        op.f("ix_analytics_facts_creator_id_bucket_metric"), "analytics_facts", ["creator_id", "bucket", "metric"]
    )
    op.create_index(op.f("ix_analytics_facts_xid"), "analytics_facts", ["xid"])
    op.create_index("ix_analytics_facts_bucket", "analytics_facts", ["bucket"], postgresql_using="brin")
    op.create_table(
        "analytics_event_ids",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("bucket", _MOMENT, nullable=False),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("creator_id", "event_id", name=op.f("pk_analytics_event_ids")),
    )
    op.create_table(
        "analytics_cursor",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("after", Xid8(), server_default="0", nullable=False),
        sa.Column("facts_from", _MOMENT, nullable=True),
        sa.Column("rolled_at", _MOMENT, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_analytics_cursor_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_cursor")),
    )
    for name, moment in (
        ("analytics_dirty", sa.Column("bucket", _MOMENT, nullable=False)),
        ("analytics_stale", sa.Column("bucket", _MOMENT, nullable=False)),
        ("analytics_stale_months", sa.Column("start", sa.Date(), nullable=False)),
    ):
        op.create_table(
            name,
            sa.Column("creator_id", sa.Uuid(), nullable=False),
            sa.Column("metric", _code(), nullable=False),
            moment,
        )
    _rollups()
    op.create_table(
        "analytics_zones",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("asked", sa.String(length=64), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("creator_id", name=op.f("pk_analytics_zones")),
    )
    op.create_table(
        "analytics_erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("person", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.BigInteger(), nullable=False),
        sa.Column("buckets", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("done_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_erasures")),
    )
    op.create_index(op.f("ix_analytics_erasures_creator_id"), "analytics_erasures", ["creator_id"])


def _rollups() -> None:
    op.create_table(
        "analytics_buckets",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("metric", _code(), nullable=False),
        sa.Column("bucket", _MOMENT, nullable=False),
        sa.Column("label", _code(), nullable=False),
        *_figures(),
        sa.PrimaryKeyConstraint("creator_id", "metric", "bucket", "label", name=op.f("pk_analytics_buckets")),
    )
    op.create_table(
        "analytics_periods",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("metric", _code(), nullable=False),
        sa.Column("grain", sa.String(length=8, collation="C"), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("label", _code(), nullable=False),
        *_figures(),
        sa.CheckConstraint("grain IN ('day', 'month')", name=op.f("ck_analytics_periods_grain_known")),
        sa.PrimaryKeyConstraint("creator_id", "metric", "grain", "start", "label", name=op.f("pk_analytics_periods")),
    )


def _figures() -> list[sa.Column[Any]]:
    return [
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("least", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("persons", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("persons_sketch", sa.LargeBinary(), nullable=True),
        sa.Column("spread", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("spread_sketch", sa.LargeBinary(), nullable=True),
    ]
