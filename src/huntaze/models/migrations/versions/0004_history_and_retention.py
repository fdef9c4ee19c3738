"""history and retention"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_jobs_creator_id_id"), table_name="jobs")
    op.create_index(
        op.f("ix_jobs_creator_id_id"),
        "jobs",
        ["creator_id", "id"],
        unique=False,
        postgresql_where="creator_id IS NOT NULL",
    )
    op.drop_index(op.f("ix_jobs_subject_id"), table_name="jobs")  # nobody asks by it
    op.create_index(
        "ix_jobs_ended", "jobs", ["state", "finished_at"], unique=False, postgresql_where="finished_at IS NOT NULL"
    )
    op.create_index(
        "ix_jobs_undone", "jobs", ["state", "id"], unique=False, postgresql_where="state IN ('failed', 'cancelled')"
    )
    op.create_index(
        "ix_jobs_error", "jobs", ["error_code", "id"], unique=False, postgresql_where="error_code IS NOT NULL"
    )
    op.create_index("ix_jobs_nobodys", "jobs", ["kind", "id"], unique=False, postgresql_where="creator_id IS NULL")
    op.create_index("ix_batches_ended", "batches", ["ended_at"], unique=False, postgresql_where="ended_at IS NOT NULL")
