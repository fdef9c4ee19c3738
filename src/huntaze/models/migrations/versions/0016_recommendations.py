"""recommendations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)
_JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "recommendations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("trend_id", sa.Uuid(), nullable=False),
        sa.Column("slot", _MOMENT, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("relevance", sa.Double(), nullable=False),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("freshness", sa.Double(), nullable=False),
        sa.Column("explored", sa.Boolean(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=False),
        sa.Column("about", _JSON, nullable=False),
        sa.Column("why", _JSON, nullable=False),
        sa.Column("idea", _JSON, nullable=False),
        sa.Column("feedback", sa.String(length=16), nullable=True),
        sa.Column("answered_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("feedback IN ('used', 'dismissed')", name=op.f("ck_recommendations_feedback_known")),
        sa.CheckConstraint(
            "(feedback IS NULL) = (answered_at IS NULL)", name=op.f("ck_recommendations_answered_has_time")
        ),
        sa.CheckConstraint("propensity > 0 AND propensity <= 1", name=op.f("ck_recommendations_propensity_chance")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_recommendations_creator_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trend_id"], ["trends.id"], name=op.f("fk_recommendations_trend_id_trends"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendations")),
    )
    op.create_index(
        "uq_recommendations_current",
        "recommendations",
        ["creator_id", "trend_id"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_index(
        "ix_recommendations_answered",
        "recommendations",
        ["creator_id", "answered_at"],
        postgresql_where=sa.text("feedback IS NOT NULL"),
    )
    op.create_index(op.f("ix_recommendations_creator_id_created_at"), "recommendations", ["creator_id", "created_at"])
    op.create_index(op.f("ix_recommendations_trend_id"), "recommendations", ["trend_id"])
