"""What is deleted when: ended jobs by their age, and batches of which no job is left.

`session` is the caller's transaction; nothing here commits. One turn deletes one small batch of rows: no lock is held
for long, and whoever sweeps may stop between any two.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from huntaze.models.jobs import ENDED, JobState
from huntaze.setting_groups import RetentionSettings

ROWS = 500  # of one turn
_FIRST = datetime.fromtimestamp(0, UTC)

# Deletes up to ROWS rows from a moment on; returns their number, and from where to go on: None where nothing is left.
_Step = Callable[[Session, datetime], tuple[int, datetime | None]]


def cutoffs(policy: RetentionSettings, now: datetime) -> dict[JobState, datetime]:
    """{state: what ended before this is past its time}."""
    days = {
        JobState.SUCCEEDED: policy.succeeded_days,
        JobState.CANCELLED: policy.cancelled_days,
        JobState.FAILED: policy.failed_days,
    }
    return {state: now - timedelta(days=days[state]) for state in ENDED}


# A job outlives its time while somebody counts on the row: a batch that is still open counts its jobs at its end, and
# a success may hold its kind's unique key until a period is over. `state` and `finished_at` are ix_jobs_ended.
_OLD_JOBS = """
    FROM jobs
    WHERE state = :state AND finished_at >= :after AND finished_at < :before
      AND (unique_until IS NULL OR unique_until < clock_timestamp())
      AND (batch_id IS NULL OR (SELECT ended_at FROM batches WHERE id = batch_id) IS NOT NULL)
"""
# By ids in an array, not by a join: the planner then goes by the indexes, whatever it believes of the table. A row
# that somebody is about to replay is locked, and passed over.
_PRUNE_JOBS = text(f"""
    DELETE FROM jobs WHERE id = ANY (ARRAY(
        SELECT id {_OLD_JOBS} ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )) RETURNING finished_at
""")  # noqa: S608 - of constants
_PRUNE_BATCHES = text("""
    DELETE FROM batches WHERE id = ANY (ARRAY(
        SELECT id FROM batches
        WHERE ended_at >= :after AND ended_at < :before AND NOT EXISTS (SELECT FROM jobs WHERE batch_id = batches.id)
        ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )) RETURNING ended_at
""")
_COUNT_JOBS = text(f"SELECT count(*) {_OLD_JOBS}")


class Sweep:
    """Deletes jobs of each state that ended before the state's moment, their attempts with them; then batches that
    ended before the latest of these and have no job any more."""

    def __init__(self, jobs_before: Mapping[JobState, datetime]) -> None:
        self.removed: Counter[str] = Counter(dict.fromkeys([*map(str, jobs_before), "batches"], 0))
        self._jobs: deque[tuple[str, _Step, datetime]] = deque(
            (state, partial(_step, _PRUNE_JOBS, {"state": state.value, "before": before}), _FIRST)
            for state, before in jobs_before.items()
        )
        batches: _Step = partial(_step, _PRUNE_BATCHES, {"before": max(jobs_before.values())})
        self._batches: deque[tuple[str, _Step, datetime]] = deque([("batches", batches, _FIRST)])

    @property
    def more(self) -> bool:
        """Whether there is another turn to take."""
        return bool(self._jobs or self._batches)

    def turn(self, session: Session) -> None:
        """One statement: the states take turns."""
        queue = self._jobs or self._batches
        name, step, after = queue.popleft()
        rows, upto = step(session, after)
        self.removed[name] += rows
        if upto is not None:
            queue.append((name, step, upto))


def _step(
    statement: TextClause, given: Mapping[str, object], session: Session, after: datetime
) -> tuple[int, datetime | None]:
    # From where the last turn ended: rows that are kept are not walked over again and again.
    ended = session.scalars(statement, {**given, "after": after, "limit": ROWS}).all()
    return len(ended), max(ended) if len(ended) == ROWS else None


def count_jobs(session: Session, state: JobState, before: datetime) -> int:
    """How many jobs a sweep would delete."""
    given = {"state": state.value, "before": before, "after": _FIRST}
    return int(session.execute(_COUNT_JOBS, given).scalar_one())
