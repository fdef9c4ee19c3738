"""reports, and versions of figures"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)
# In the order of the ids: whoever changes the figures of several creators locks them in the same order.
_TOUCH = """
    CREATE FUNCTION analytics_touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO analytics_versions AS known (creator_id, version)
        SELECT creator_id, 1 FROM (SELECT DISTINCT creator_id FROM changed) AS given ORDER BY creator_id
        ON CONFLICT (creator_id) DO UPDATE SET version = known.version + 1;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "analytics_versions",
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("creator_id", name=op.f("pk_analytics_versions")),
        postgresql_with={"fillfactor": 50},
    )
    op.execute(_TOUCH)
    for table in ("analytics_buckets", "analytics_periods"):
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER touched_by_{event.lower()} AFTER {event} ON {table}"
                f" REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION analytics_touch()"
            )
    _reports()


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("cadence", sa.String(length=8), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("files", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ready_at", _MOMENT, nullable=True),
        sa.CheckConstraint("cadence IN ('week', 'month', 'asked')", name=op.f("ck_reports_cadence_known")),
        sa.CheckConstraint("state IN ('making', 'ready', 'failed')", name=op.f("ck_reports_state_known")),
        sa.CheckConstraint("(state = 'ready') = (ready_at IS NOT NULL)", name=op.f("ck_reports_ready_has_time")),
        sa.CheckConstraint("first <= last", name=op.f("ck_reports_days_in_order")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_reports_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index(op.f("ix_reports_creator_id_id"), "reports", ["creator_id", "id"])
    op.create_index(
        "uq_reports_scheduled",
        "reports",
        ["creator_id", "cadence", "first"],
        unique=True,
        postgresql_where=sa.text("cadence <> 'asked'"),
    )
