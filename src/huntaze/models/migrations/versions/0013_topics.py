"""topics and trends"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.CheckConstraint("kind IN ('hashtag', 'phrase', 'sound')", name=op.f("ck_topics_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_topics_kind_name")),
    )
    op.create_table(
        "topic_frames",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("max_items", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("region", sa.String(length=8), nullable=True),
        sa.Column("scored_until", _MOMENT, nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("typical", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["trend_sources.id"],
            name=op.f("fk_topic_frames_source_id_trend_sources"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic_frames")),
        sa.UniqueConstraint("source_id", "max_items", name=op.f("uq_topic_frames_source_id_max_items")),
    )
    op.create_table(
        "frame_hours",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        _of_frame("frame_hours"),
        sa.PrimaryKeyConstraint("frame_id", "hour", name=op.f("pk_frame_hours")),
    )
    op.create_index(op.f("ix_frame_hours_hour"), "frame_hours", ["hour"], unique=False)
    _topic_tables()
    _trend_tables()


def _of_frame(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_frame_id_topic_frames")
    return sa.ForeignKeyConstraint(["frame_id"], ["topic_frames.id"], name=name, ondelete="CASCADE")


def _of_topic(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_topic_id_topics")
    return sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=name, ondelete="CASCADE")


def _topic_tables() -> None:
    op.create_table(
        "topic_hours",
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("value", sa.REAL(), nullable=False),
        sa.Column("strength", sa.REAL(), nullable=False),
        sa.PrimaryKeyConstraint("topic_id", "frame_id", "hour", name=op.f("pk_topic_hours")),
    )
    op.create_index(op.f("ix_topic_hours_hour"), "topic_hours", ["hour"], unique=False)
    op.create_table(
        "topic_days",
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("value", sa.REAL(), nullable=False),
        sa.Column("strength", sa.REAL(), nullable=False),
        _of_topic("topic_days"),
        sa.PrimaryKeyConstraint("topic_id", "platform", "day", name=op.f("pk_topic_days")),
    )
    op.create_table(
        "detector_states",
        sa.Column("frame_id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("hour", _MOMENT, nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        _of_frame("detector_states"),
        _of_topic("detector_states"),
        sa.PrimaryKeyConstraint("frame_id", "topic_id", name=op.f("pk_detector_states")),
    )
    # Rows are written again each hour: room beside them keeps that within the page.
    op.execute("ALTER TABLE detector_states SET (fillfactor = 50)")


def _trend_tables() -> None:
    op.create_table(
        "trends",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("platforms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("regions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("peak_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("strength", sa.Double(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("peak_level", sa.Double(), nullable=False),
        sa.Column("velocity", sa.Double(), nullable=False),
        sa.Column("lead_h", sa.Integer(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("authors", sa.Integer(), nullable=False),
        sa.Column("related", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_trends_confidence_fraction")),
        sa.CheckConstraint("(state = 'over') = (ended_at IS NOT NULL)", name=op.f("ck_trends_over_has_end")),
        sa.CheckConstraint("state IN ('emerging', 'peaking', 'fading', 'over')", name=op.f("ck_trends_state_known")),
        _of_topic("trends"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trends")),
    )
    op.create_index(op.f("ix_trends_topic_id"), "trends", ["topic_id"], unique=False)
    op.create_index(op.f("ix_trends_started_at"), "trends", ["started_at"], unique=False)
    op.create_index("uq_trends_open", "trends", ["topic_id"], unique=True, postgresql_where="state <> 'over'")
    op.create_table(
        "trend_evidence",
        sa.Column("trend_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trend_id"], ["trends.id"], name=op.f("fk_trend_evidence_trend_id_trends"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trend_id", "post_id", name=op.f("pk_trend_evidence")),
    )
