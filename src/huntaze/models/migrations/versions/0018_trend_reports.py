"""weekly trend reports; posts are found by their source and age"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


_MOMENT = postgresql.TIMESTAMP(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "trend_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("cadence", sa.String(length=8), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("words", _JSON, nullable=True),
        sa.Column("files", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ready_at", _MOMENT, nullable=True),
        sa.CheckConstraint("cadence IN ('week', 'asked')", name=op.f("ck_trend_reports_cadence_known")),
        sa.CheckConstraint("state IN ('making', 'ready', 'failed')", name=op.f("ck_trend_reports_state_known")),
        sa.CheckConstraint("(state = 'ready') = (ready_at IS NOT NULL)", name=op.f("ck_trend_reports_ready_has_time")),
        sa.CheckConstraint("(state = 'ready') = (words IS NOT NULL)", name=op.f("ck_trend_reports_ready_has_words")),
        sa.CheckConstraint("first <= last", name=op.f("ck_trend_reports_days_in_order")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_trend_reports_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trend_reports")),
    )
    op.create_index(op.f("ix_trend_reports_creator_id_id"), "trend_reports", ["creator_id", "id"])
    op.create_index(
        "uq_trend_reports_week",
        "trend_reports",
        ["creator_id", "first"],
        unique=True,
        postgresql_where=sa.text("cadence = 'week'"),
    )
    # Detection reads a source's hours. Each index is paid for by every post: these two were asked for less often.
    op.create_index(op.f("ix_posts_source_id_created_at"), "posts", ["source_id", "created_at"])
    op.drop_index(op.f("ix_posts_created_at"), "posts")
    op.drop_index(op.f("ix_posts_run_id"), "posts")
