"""flow control"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flow_rates",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("flow_key", sa.String(length=64), nullable=False),
        sa.Column("arrival", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "flow_key", name=op.f("pk_flow_rates")),
    )
    op.create_table(
        "pauses",
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("scope IN ('queue', 'kind')", name=op.f("ck_pauses_scope_known")),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("pk_pauses")),
    )
    op.add_column("jobs", sa.Column("ready", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.execute("UPDATE jobs SET ready = false WHERE state = 'waiting' AND run_at > clock_timestamp()")
    op.drop_index(op.f("ix_jobs_due"), table_name="jobs", postgresql_where="((state)::text = 'waiting'::text)")
    op.create_index(
        "ix_jobs_lanes",
        "jobs",
        ["queue", "priority", "kind", "flow_key", "run_at", "id"],
        unique=False,
        postgresql_where="state = 'waiting' AND ready",
    )
    op.create_index(
        "ix_jobs_scheduled", "jobs", ["run_at"], unique=False, postgresql_where="state = 'waiting' AND NOT ready"
    )
    op.create_index(
        "ix_jobs_under_way",
        "jobs",
        ["kind", "flow_key"],
        unique=False,
        postgresql_where="state IN ('queued', 'running')",
    )
    op.add_column("nodes", sa.Column("slots", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "nodes", sa.Column("kinds", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)
    )
