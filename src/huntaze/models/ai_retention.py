"""Which calls of models are deleted: those of whole months that are past their time. What the months have cost stays in
`ai_spend`, what was billed of them with billing, what was counted with analytics; all three have read them long before.

`session` is the caller's transaction; nothing here commits.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

ROWS = 1000  # of one turn

# A call that is under way stays, however old: the sweep settles it first. Rows that somebody settles anew are locked,
# and passed over.
_PRUNE = text("""
    WITH gone AS (
        DELETE FROM usage_logs WHERE request_id = ANY (ARRAY(
            SELECT request_id FROM usage_logs
            WHERE created_at >= :after AND created_at < :before AND settled_at IS NOT NULL
            ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
        )) RETURNING created_at
    )
    SELECT count(*) AS deleted, CASE WHEN count(*) = :limit THEN max(created_at) END AS upto FROM gone
""")


def prune(session: Session, before: datetime, after: datetime) -> tuple[int, datetime | None]:
    """Deletes the oldest calls from `after` on that were begun before `before`; returns how many, and from where to go
    on: None where nothing is left."""
    row = session.execute(_PRUNE, {"before": before, "after": after, "limit": ROWS}).one()
    return row.deleted, row.upto
