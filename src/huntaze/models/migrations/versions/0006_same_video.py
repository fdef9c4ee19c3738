"""the same video again"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("content_tasks", sa.Column("extract_key", sa.String(length=64), nullable=True))
    op.add_column("content_tasks", sa.Column("analysis_key", sa.String(length=64), nullable=True))
    op.create_index(
        op.f("ix_content_tasks_creator_id_analysis_key"),
        "content_tasks",
        ["creator_id", "analysis_key"],
        unique=False,
        postgresql_where=sa.text("analysis_key IS NOT NULL"),
    )
