"""sources, runs and posts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trend_sources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=True),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("query", sa.String(length=200), nullable=False),
        sa.Column("region", sa.String(length=8), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=True),
        sa.Column("cron", sa.String(length=64), nullable=False),
        sa.Column("next_run_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("build", sa.String(length=32), nullable=True),
        sa.Column("max_items", sa.Integer(), nullable=False),
        sa.Column("max_charge_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("held_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("state IN ('active', 'paused')", name=op.f("ck_trend_sources_state_known")),
        sa.CheckConstraint("max_items > 0 AND max_charge_micro_usd > 0", name=op.f("ck_trend_sources_caps_positive")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_trend_sources_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trend_sources")),
        sa.UniqueConstraint(
            "creator_id",
            "platform",
            "query",
            "region",
            "language",
            name=op.f("uq_trend_sources_creator_id_platform_query_region_language"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "ix_trend_sources_due", "trend_sources", ["next_run_at"], unique=False, postgresql_where="state = 'active'"
    )
    op.create_table(
        "trend_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("slot", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("input", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("build", sa.String(length=32), nullable=True),
        sa.Column("max_items", sa.Integer(), nullable=False),
        sa.Column("max_charge_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("start_tries", sa.Integer(), nullable=False),
        sa.Column("start_tried_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("external_id", sa.String(length=64), nullable=True),
        sa.Column("dataset_id", sa.String(length=64), nullable=True),
        sa.Column("external_status", sa.String(length=16), nullable=True),
        sa.Column("observed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("month", sa.Date(), nullable=True),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=True),
        sa.Column("cost_known", sa.Boolean(), nullable=True),
        sa.Column("dataset_offset", sa.Integer(), nullable=False),
        sa.Column("dataset_total", sa.Integer(), nullable=True),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("posts", sa.Integer(), nullable=False),
        sa.Column("posts_new", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("sentinels", sa.Integer(), nullable=False),
        sa.Column("nulls", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("feeds", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'collected') = (verdict IS NOT NULL)", name=op.f("ck_trend_runs_collected_has_verdict")
        ),
        sa.CheckConstraint("(state = 'failed') = (error_code IS NOT NULL)", name=op.f("ck_trend_runs_failed_has_code")),
        sa.CheckConstraint("NOT feeds OR verdict = 'sample'", name=op.f("ck_trend_runs_only_samples_feed")),
        sa.CheckConstraint(
            "state IN ('intended', 'started', 'collecting', 'collected', 'failed', 'skipped', 'cancelled')",
            name=op.f("ck_trend_runs_state_known"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('started', 'collecting') OR external_id IS NOT NULL",
            name=op.f("ck_trend_runs_started_has_id"),
        ),
        sa.CheckConstraint(
            "verdict IN ('sample', 'unknown', 'partial', 'unhealthy')", name=op.f("ck_trend_runs_verdict_known")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["trend_sources.id"], name=op.f("fk_trend_runs_source_id_trend_sources"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trend_runs")),
        sa.UniqueConstraint("external_id", name=op.f("uq_trend_runs_external_id")),
        sa.UniqueConstraint("source_id", "slot", name=op.f("uq_trend_runs_source_id_slot")),
    )
    op.create_index(
        "ix_trend_runs_live",
        "trend_runs",
        ["id"],
        unique=False,
        postgresql_where="state IN ('intended', 'started', 'collecting')",
    )
    op.create_table(
        "apify_dispatches",
        sa.Column("dispatch_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(length=64), nullable=True),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column(
            "received_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["trend_runs.id"], name=op.f("fk_apify_dispatches_run_id_trend_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dispatch_id", name=op.f("pk_apify_dispatches")),
    )
    op.create_index(op.f("ix_apify_dispatches_received_at"), "apify_dispatches", ["received_at"], unique=False)
    op.create_index(op.f("ix_apify_dispatches_run_id"), "apify_dispatches", ["run_id"], unique=False)
    op.create_table(
        "trend_alarms",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("field", sa.String(length=32), nullable=True),
        sa.Column("usual", sa.Double(), nullable=True),
        sa.Column("seen", sa.Double(), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["trend_runs.id"], name=op.f("fk_trend_alarms_run_id_trend_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["trend_sources.id"],
            name=op.f("fk_trend_alarms_source_id_trend_sources"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trend_alarms")),
        sa.UniqueConstraint(
            "run_id",
            "kind",
            "field",
            name=op.f("uq_trend_alarms_run_id_kind_field"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_trend_alarms_open", "trend_alarms", ["id"], unique=False, postgresql_where="closed_at IS NULL")
    op.create_index(op.f("ix_trend_alarms_source_id"), "trend_alarms", ["source_id"], unique=False)
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=16, collation="C"), nullable=False),
        sa.Column("native_id", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("created_exact", sa.Boolean(), nullable=False),
        sa.Column("author_key", sa.LargeBinary(), nullable=True),
        sa.Column("author_key_version", sa.SmallInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hashtags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("sound_id", sa.String(length=64), nullable=True),
        sa.Column("sound_name", sa.String(length=200), nullable=True),
        sa.Column("community", sa.String(length=100), nullable=True),
        sa.Column("region", sa.String(length=8), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("is_ad", sa.Boolean(), nullable=True),
        sa.Column("is_repost", sa.Boolean(), nullable=True),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.Column("observed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("first_seen_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
        sa.UniqueConstraint("platform", "native_id", name=op.f("uq_posts_platform_native_id")),
    )
    op.create_index(
        op.f("ix_posts_author_key"), "posts", ["author_key"], unique=False, postgresql_where="author_key IS NOT NULL"
    )
    op.create_index(op.f("ix_posts_created_at"), "posts", ["created_at"], unique=False)
    op.create_index(op.f("ix_posts_run_id"), "posts", ["run_id"], unique=False)
    op.create_table(
        "post_metrics",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("observed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("saves", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("post_id", "observed_at", name=op.f("pk_post_metrics")),
    )
    op.create_index(op.f("ix_post_metrics_run_id"), "post_metrics", ["run_id"], unique=False)
    op.create_table(
        "trend_raw_rows",
        sa.Column("dataset_id", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("row_offset", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("author_key", sa.LargeBinary(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("dataset_id", "row_offset", name=op.f("pk_trend_raw_rows")),
    )
    op.create_index(
        op.f("ix_trend_raw_rows_author_key"),
        "trend_raw_rows",
        ["author_key"],
        unique=False,
        postgresql_where="author_key IS NOT NULL",
    )
    op.create_index(
        op.f("ix_trend_raw_rows_run_id"),
        "trend_raw_rows",
        ["run_id"],
        unique=False,
        postgresql_where="outcome = 'quarantined'",
    )
    op.create_table(
        "trend_interest",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.String(length=200), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("value", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "term", "at", name=op.f("pk_trend_interest")),
    )
    op.create_table(
        "scrape_spend",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("reserved_micro_usd", sa.BigInteger(), nullable=False),
        sa.Column("spent_micro_usd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "reserved_micro_usd >= 0 AND spent_micro_usd >= 0", name=op.f("ck_scrape_spend_not_negative")
        ),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_scrape_spend")),
    )
    op.create_table(
        "forgotten_authors",
        sa.Column("author_key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "forgotten_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("author_key", name=op.f("pk_forgotten_authors")),
    )
