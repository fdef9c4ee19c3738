"""batches"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("follow_on_kind", sa.String(length=64), nullable=True),
        sa.Column("follow_on_version", sa.SmallInteger(), nullable=True),
        sa.Column("follow_on_args", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("follow_on_id", sa.Uuid(), nullable=True),
        sa.Column("dedupe_key", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("succeeded", sa.Integer(), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.Column("cancelled", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (succeeded + failed + cancelled IS NULL)", name=op.f("ck_batches_ended_has_counts")
        ),
        sa.CheckConstraint(
            "num_nonnulls(follow_on_kind, follow_on_version, follow_on_args) IN (0, 3)",
            name=op.f("ck_batches_follow_on_whole"),
        ),
        sa.CheckConstraint("succeeded + failed + cancelled <= total", name=op.f("ck_batches_counts_within_total")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_batches_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_batches_dedupe_key")),
    )
    op.create_index(op.f("ix_batches_creator_id_id"), "batches", ["creator_id", "id"], unique=False)
    op.create_index("ix_batches_open", "batches", ["id"], unique=False, postgresql_where="ended_at IS NULL")
    op.add_column("jobs", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("unique_key", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("unique_until", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_index(
        "ix_jobs_batch", "jobs", ["batch_id", "state"], unique=False, postgresql_where="batch_id IS NOT NULL"
    )
    op.create_index(
        "uq_jobs_unique_key",
        "jobs",
        ["unique_key"],
        unique=True,
        postgresql_where="unique_key IS NOT NULL AND (state IN ('waiting', 'queued', 'running')"
        " OR (unique_until IS NOT NULL AND state = 'succeeded'))",
    )
    op.create_foreign_key(
        op.f("fk_jobs_batch_id_batches"), "jobs", "batches", ["batch_id"], ["id"], ondelete="SET NULL"
    )
