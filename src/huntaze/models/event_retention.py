"""Which events are deleted: by age, from the head of the stream.

`session` is the caller's transaction; nothing here commits.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

ROWS = 500  # of one turn

# One page of the stream from `after` on, whatever of it is deleted: the page says where the next one begins. An event
# that some endpoint is still to be told of stays. By ids in an array, so that the planner goes by the primary key.
_PRUNE = text("""
    WITH page AS MATERIALIZED (
        SELECT id, position, created_at FROM events WHERE position > :after ORDER BY position LIMIT :limit
    ), gone AS (
        DELETE FROM events WHERE id = ANY (ARRAY(
            SELECT id FROM page
            WHERE created_at < :before AND NOT EXISTS (
                SELECT FROM webhook_deliveries
                WHERE event_id = page.id AND webhook_deliveries.state IN ('sending', 'waiting')
            )
        )) RETURNING position
    ), told AS (
        UPDATE event_position SET pruned = greatest(pruned, (SELECT max(position) FROM gone))
        WHERE EXISTS (SELECT FROM gone)
    )
    SELECT (SELECT count(*) FROM gone) AS deleted,
           CASE WHEN count(*) = :limit AND bool_or(created_at < :before) THEN max(position) END AS upto
    FROM page
""")


def prune(session: Session, before: datetime, after: int) -> tuple[int, int | None]:
    """Deletes what was written before that moment among the next events behind the position `after`; returns how many,
    and from where to go on: None where nothing is left. What is gone is remembered in `event_position.pruned`."""
    row = session.execute(_PRUNE, {"before": before, "after": after, "limit": ROWS}).one()
    return row.deleted, row.upto


_PRUNED = text("SELECT pruned FROM event_position")


def pruned(session: Session) -> int:
    """The last position that is gone: whoever resumes behind an earlier one may have missed something."""
    return int(session.execute(_PRUNED).scalar_one())
