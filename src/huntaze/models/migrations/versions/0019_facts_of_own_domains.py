"""analytics: rows of other domains that tell of something"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# (table, key, when: which rows tell of something). By row, as a statement of ours writes a few of these at most.
_HEARD = (
    ("content", "id", "INSERT", "NEW.etag IS NOT NULL"),
    ("content", "id", "UPDATE OF etag", "OLD.etag IS NULL AND NEW.etag IS NOT NULL"),
    ("offer_redemptions", "id", "INSERT", "true"),
    ("subscription_changes", "id", "INSERT", "NEW.kind IN ('start', 'end')"),
    ("usage_logs", "request_id", "INSERT", "NEW.settled_at IS NOT NULL AND NOT NEW.cache_hit"),
    (
        "usage_logs",
        "request_id",
        "UPDATE OF settled_at",
        "NEW.settled_at IS DISTINCT FROM OLD.settled_at AND NOT NEW.cache_hit",
    ),
)


def upgrade() -> None:
    op.create_table(
        "analytics_heard",
        sa.Column("source", sa.String(length=64, collation="C"), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
    )
    for table, key in sorted({(table, key) for table, key, _, _ in _HEARD}):
        op.execute(f"""
            CREATE FUNCTION analytics_hear_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO analytics_heard (source, row_id) VALUES ('{table}', NEW.{key});
                RETURN NULL;
            END $$
        """)  # noqa: S608 - of constants
    for table, _, event, when in _HEARD:
        op.execute(f"""
            CREATE TRIGGER heard_at_{event.split()[0].lower()} AFTER {event} ON {table}
            FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION analytics_hear_{table}()
        """)
