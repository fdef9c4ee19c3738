"""offers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("creator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("percent_off_bp", sa.Integer(), nullable=True),
        sa.Column("audience", postgresql.ARRAY(sa.String(length=32)), nullable=False),
        sa.Column("starts_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ends_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("quota", sa.Integer(), nullable=True),
        sa.Column("per_fan", sa.SmallInteger(), nullable=True),
        sa.Column("redeemed", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'scheduled', 'active', 'paused', 'exhausted', 'expired', 'cancelled')",
            name=op.f("ck_offers_state_known"),
        ),
        sa.CheckConstraint("num_nonnulls(price_minor, percent_off_bp) = 1", name=op.f("ck_offers_price_or_percent")),
        sa.CheckConstraint("(price_minor IS NULL) = (currency IS NULL)", name=op.f("ck_offers_price_has_currency")),
        sa.CheckConstraint(
            "price_minor >= 0 AND percent_off_bp BETWEEN 1 AND 10000", name=op.f("ck_offers_terms_in_range")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_offers_ends_after_start")),
        sa.CheckConstraint(
            "starts_at IS NOT NULL OR state IN ('draft', 'cancelled')", name=op.f("ck_offers_promised_has_start")
        ),
        sa.CheckConstraint("redeemed >= 0 AND redeemed <= quota", name=op.f("ck_offers_quota_kept")),
        sa.CheckConstraint("per_fan > 0", name=op.f("ck_offers_per_fan_positive")),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_offers_creator_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_index(
        "uq_offers_code",
        "offers",
        ["creator_id", "code"],
        unique=True,
        postgresql_where="code IS NOT NULL AND state IN ('draft', 'scheduled', 'active', 'paused', 'exhausted')",
    )
    op.create_index("ix_offers_starts", "offers", ["starts_at"], postgresql_where="state = 'scheduled'")
    op.create_index(
        "ix_offers_ends",
        "offers",
        ["ends_at"],
        postgresql_where="state IN ('scheduled', 'active', 'paused', 'exhausted')",
    )
    op.create_index(op.f("ix_offers_creator_id_id"), "offers", ["creator_id", "id"])
    op.create_table(
        "offer_redemptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("offer_id", sa.Uuid(), nullable=False),
        sa.Column("fan_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("pays_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("redeemed_at", postgresql.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["offers.id"], name=op.f("fk_offer_redemptions_offer_id_offers"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_redemptions")),
    )
    op.create_index("uq_offer_redemptions_fan", "offer_redemptions", ["offer_id", "fan_id", "number"], unique=True)
    op.create_index("uq_offer_redemptions_reference", "offer_redemptions", ["offer_id", "reference"], unique=True)
