"""insights"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "ai_insights",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("figures_key", sa.String(length=64), nullable=False),
        sa.Column("figures_until", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
        sa.Column("insights", postgresql.JSONB(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("usage", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("dropped >= 0", name=op.f("ck_ai_insights_dropped_not_negative")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_ai_insights_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_insights")),
    )
    op.create_index(op.f("ix_ai_insights_creator_id_id"), "ai_insights", ["creator_id", "id"])
    op.create_index(op.f("ix_ai_insights_creator_id_figures_key"), "ai_insights", ["creator_id", "figures_key"])
