"""the AI budget and what calls took"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ai_limits",
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("limit_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column(
            "changed_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("limit_micro_usd >= 0", name=op.f("ck_ai_limits_money_not_negative")),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_ai_limits")),
    )
    op.create_table(
        "ai_spend",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("reserved_micro_usd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_micro_usd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "reserved_micro_usd >= 0 AND settled_micro_usd >= 0", name=op.f("ck_ai_spend_money_not_negative")
        ),
        sa.PrimaryKeyConstraint("month", "scope", name=op.f("pk_ai_spend")),
        postgresql_with={"fillfactor": 20},
    )
    op.create_table(
        "ai_warnings",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("percent", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("limit_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("settled_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column(
            "at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("month", "scope", "percent", name=op.f("pk_ai_warnings")),
    )
    op.create_table(
        "usage_logs",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("deployment", sa.String(length=128), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("bound_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("cache_hit", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("sandbox", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("settled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "bound_micro_usd >= 0 AND cost_micro_usd >= 0", name=op.f("ck_usage_logs_money_not_negative")
        ),
        sa.CheckConstraint(
            "num_nonnulls(settled_at, cost_micro_usd, outcome) IN (0, 3)", name=op.f("ck_usage_logs_settled_whole")
        ),
        sa.CheckConstraint(
            "settled_at IS NOT NULL OR lease_until IS NOT NULL", name=op.f("ck_usage_logs_open_has_lease")
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_usage_logs_creator_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_usage_logs")),
    )
    op.create_index(op.f("ix_usage_logs_created_at"), "usage_logs", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_usage_logs_creator_id_month"),
        "usage_logs",
        ["creator_id", "month"],
        unique=False,
        postgresql_where="creator_id IS NOT NULL",
    )
    op.create_index(
        "ix_usage_logs_open", "usage_logs", ["lease_until"], unique=False, postgresql_where="settled_at IS NULL"
    )
    op.create_index(
        "ix_usage_logs_waiting",
        "usage_logs",
        ["month"],
        unique=False,
        postgresql_where="outcome = 'budget' AND job_id IS NOT NULL",
    )
