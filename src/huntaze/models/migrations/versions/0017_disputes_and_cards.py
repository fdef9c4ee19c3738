"""disputes; who names which customer; usage that no price is for"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_MOMENT = postgresql.TIMESTAMP(timezone=True)
# Constraints that know another name now.
_KNOWN = {
    "ledger_entries": ("account", ("receivable", "cash", "revenue", "tax", "credit", "write_off", "dispute")),
    "refunds": ("state", ("started", "succeeded", "failed", "overtaken")),
}


def upgrade() -> None:
    for table, (column, names) in _KNOWN.items():
        told = ", ".join(repr(name) for name in names)
        op.drop_constraint(op.f(f"ck_{table}_{column}_known"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{column}_known"), table, f"{column} IN ({told})")
    op.create_index(op.f("ix_payments_reference"), "payments", ["reference"])
    op.create_index(
        "ix_subscriptions_customer",
        "subscriptions",
        ["customer"],
        postgresql_where=sa.text("customer IS NOT NULL"),
    )
    op.add_column("usage_records", sa.Column("unpriced", sa.Boolean(), server_default=sa.false(), nullable=False))
    _disputes()
    _movements()


def _disputes() -> None:
    op.create_table(
        "disputes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("gateway", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("told_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'won', 'lost')", name=op.f("ck_disputes_state_known")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_disputes_payment_id_payments")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
        sa.UniqueConstraint("gateway", "external_id", name=op.f("uq_disputes_gateway_external_id")),
    )
    op.create_index(op.f("ix_disputes_payment_id"), "disputes", ["payment_id"])


def _movements() -> None:
    op.create_table(
        "dispute_movements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dispute_id", sa.Uuid(), nullable=False),
        sa.Column("source_key", sa.String(length=255), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_dispute_movements_amount_not_nought")),
        sa.ForeignKeyConstraint(["dispute_id"], ["disputes.id"], name=op.f("fk_dispute_movements_dispute_id_disputes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_movements")),
        sa.UniqueConstraint("source_key", name=op.f("uq_dispute_movements_source_key")),
    )
    op.create_index(op.f("ix_dispute_movements_dispute_id"), "dispute_movements", ["dispute_id"])
    op.execute(
        "CREATE TRIGGER written_once BEFORE UPDATE OR DELETE ON dispute_movements"
        " FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change()"
    )
