"""What `job_store.cancel` does to one job, done to many at once.

`session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store, tally
from huntaze.models.base import new_id
from huntaze.models.job_kinds import KINDS
from huntaze.models.job_store import EVENT_DATA
from huntaze.models.jobs import Job, JobState

# Locked in the order of their ids, so that two callers with jobs in common wait for one another in the same order.
_CANCEL = text("""
    UPDATE jobs
    SET cancel_requested_at = clock_timestamp(),
        state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END,
        finished_at = CASE state WHEN 'running' THEN NULL ELSE clock_timestamp() END
    WHERE id = ANY (ARRAY(
        SELECT id FROM jobs
        WHERE id = ANY(:ids) AND state IN ('waiting', 'queued', 'running') AND cancel_requested_at IS NULL
        ORDER BY id FOR UPDATE
    ))
    RETURNING *
""")
_TELL = text(f"""
    INSERT INTO events (id, creator_id, type, subject_id, data)
    SELECT event_id, creator_id, 'job.cancelled', id, {EVENT_DATA}
    FROM unnest(cast(:ids AS uuid[]), cast(:event_ids AS uuid[])) AS given (job_id, event_id)
    JOIN jobs ON id = job_id WHERE creator_id IS NOT NULL
""")  # noqa: S608 - of constants


def cancel_many(session: Session, ids: Sequence[uuid.UUID]) -> None:
    """Cancels those that wait or are queued, asks those that run to stop; what has ended stays as it is."""
    fresh = {"populate_existing": True}
    found = session.scalars(select(Job).from_statement(_CANCEL), {"ids": list(ids)}, execution_options=fresh).all()
    ended = [job for job in found if job.state == JobState.CANCELLED]
    for job in ended:
        kind = KINDS.get(job.kind)
        if kind is not None and kind.follow is not None:
            kind.follow(session, job)
    tally.note(session, "cancelled", [job.kind for job in ended])
    if ended:
        session.execute(_TELL, {"ids": [job.id for job in ended], "event_ids": [new_id() for _ in ended]})
        event_store.wake_placer(session)
