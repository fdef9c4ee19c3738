"""What the trial left behind, read once, for the checks."""

import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from huntaze.beat_schedule import SCHEDULE
from huntaze.models.jobs import LIVE

Row = RowMapping


@dataclass(frozen=True)
class Records:
    """`effects`: attempt numbers by job. `children`: ids by parent. `events`: how many of a type by job."""

    jobs: dict[uuid.UUID, Row]
    attempts: dict[uuid.UUID, list[Row]]
    effects: dict[uuid.UUID, list[int]]
    children: dict[uuid.UUID, list[uuid.UUID]]
    events: Counter[tuple[uuid.UUID, str]]
    unplaced: int
    calls: dict[uuid.UUID, dict[int, int]]

    def tell(self, job_id: uuid.UUID) -> str:
        """All that is known of a job, for people."""
        lines = [f"  {dict(self.jobs[job_id]) if job_id in self.jobs else 'no row'}"]
        lines += [f"    {dict(attempt)}" for attempt in self.attempts.get(job_id, [])]
        lines.append(f"    effects by attempts {self.effects.get(job_id, [])}, calls {self.calls.get(job_id, {})}")
        return "\n".join(lines)


_JOBS = text("SELECT * FROM jobs")
_ATTEMPTS = text("SELECT * FROM job_attempts ORDER BY job_id, attempt")
_EVENTS = text("SELECT subject_id, type, count(*) AS events FROM events GROUP BY subject_id, type")


def read(session: Session, calls: Counter[tuple[uuid.UUID, int]]) -> Records:
    """All rows of the trial."""
    attempts: dict[uuid.UUID, list[Row]] = defaultdict(list)
    effects: dict[uuid.UUID, list[int]] = defaultdict(list)
    children: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    by_job: dict[uuid.UUID, dict[int, int]] = defaultdict(dict)
    jobs: dict[uuid.UUID, Row] = {row["id"]: row for row in session.execute(_JOBS).mappings()}
    for row in session.execute(_ATTEMPTS).mappings():
        attempts[row["job_id"]].append(row)
    for effect in session.execute(text("SELECT job_id, attempt FROM chaos_effects")):
        effects[effect.job_id].append(effect.attempt)
    for job in jobs.values():
        if job["parent_id"] is not None:
            children[job["parent_id"]].append(job["id"])
    for (job_id, attempt), count in calls.items():
        by_job[job_id][attempt] = count
    events = Counter({(row.subject_id, row.type): row.events for row in session.execute(_EVENTS)})
    without = unplaced(session)
    return Records(jobs, attempts, effects, children, events, without, by_job)


# What waits for long is not counted: it has to be hurried, or waits for money.
_LIVE = text("""
    SELECT count(*) FROM jobs
    WHERE state = ANY(:live) AND NOT (state = 'waiting' AND run_at > clock_timestamp() + interval '15 s')
""")
# Without those of the clock, which goes on whatever else hangs.
_ENDED = text("SELECT count(*) FROM jobs WHERE finished_at IS NOT NULL AND NOT kind = ANY(:clocked)")


def live(session: Session) -> int:
    """How many jobs have not ended, and can soon."""
    return int(session.execute(_LIVE, {"live": [state.value for state in LIVE]}).scalar_one())


def ended(session: Session) -> int:
    """How many of the load's jobs have ended: where this stands still, something hangs."""
    return int(session.execute(_ENDED, {"clocked": [entry.kind for entry in SCHEDULE.values()]}).scalar_one())


def unplaced(session: Session) -> int:
    """How many events still wait for their place in the stream."""
    return int(session.execute(text("SELECT count(*) FROM events WHERE position IS NULL")).scalar_one())
