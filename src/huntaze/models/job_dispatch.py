"""The dispatcher's SQL, first half: which due jobs go to the broker next. Fair, and as cheap as what it sends.

A *lane* is the backlog of one flow key in one kind at one priority. The index `ix_jobs_lanes` is walked from lane to
lane by a loose scan, so a round costs as much as the jobs it sends, whether ten thousand or a million are waiting.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.orm import Session

from huntaze.models import flow_store
from huntaze.models.job_kinds import KINDS
from huntaze.models.jobs import Job, JobState

MOST_LANES = 500  # looked at in one turn of one kind: bounds a round where many lanes are at their limit
MOST_JOBS = 100  # taken from one queue in one round, which holds up rescue, streams and the other queues meanwhile


@dataclass(frozen=True)
class Hint:
    """What a message carries: which row is ready, and where its kind is run."""

    job_id: uuid.UUID
    kind: str
    queue: str


@dataclass
class Turns:
    """Whose turn it is: for each (queue, priority, kind) the flow key that was served last. A dispatcher's own memory;
    without it, after a restart, the round merely begins at the first key again."""

    last: dict[tuple[str, int, str], str] = field(default_factory=dict)
    rounds: int = 0


@dataclass(frozen=True)
class Taken:
    """One queue's turn. `more`: jobs were left behind for want of room, or because their lane was at its limit."""

    hints: list[Hint]
    more: bool


_KINDS_WAITING = text("""
    WITH RECURSIVE pair AS (
        (SELECT priority, kind FROM jobs WHERE state = 'waiting' AND ready AND queue = :queue
         ORDER BY priority, kind LIMIT 1)
        UNION ALL
        SELECT next.priority, next.kind FROM pair CROSS JOIN LATERAL (
            SELECT priority, kind FROM jobs
            WHERE state = 'waiting' AND ready AND queue = :queue AND (priority, kind) > (pair.priority, pair.kind)
            ORDER BY priority, kind LIMIT 1
        ) AS next
    )
    SELECT priority, kind FROM pair
    WHERE NOT EXISTS (SELECT FROM pauses WHERE scope = 'kind' AND name = pair.kind)
""")
_LANES = text("""
    WITH RECURSIVE lane AS (
        (SELECT flow_key FROM jobs
         WHERE state = 'waiting' AND ready AND queue = :queue AND priority = :priority AND kind = :kind
           AND flow_key > :after
         ORDER BY flow_key LIMIT 1)
        UNION ALL
        SELECT next.flow_key FROM lane CROSS JOIN LATERAL (
            SELECT flow_key FROM jobs
            WHERE state = 'waiting' AND ready AND queue = :queue AND priority = :priority AND kind = :kind
              AND flow_key > lane.flow_key
            ORDER BY flow_key LIMIT 1
        ) AS next
    )
    SELECT flow_key FROM lane LIMIT :limit
""")
_TAKE = text("""
    WITH chosen AS (
        SELECT job.id, job.turn, lane.n
        FROM unnest(cast(:keys AS text[]), cast(:quotas AS int[])) WITH ORDINALITY AS lane (flow_key, quota, n)
        CROSS JOIN LATERAL (
            SELECT id, row_number() OVER (ORDER BY run_at, id) AS turn
            FROM (
                SELECT id, run_at FROM jobs
                WHERE state = 'waiting' AND ready AND queue = :queue AND priority = :priority AND kind = :kind
                  AND flow_key = lane.flow_key AND args_version <= :version
                ORDER BY run_at, id LIMIT lane.quota FOR UPDATE SKIP LOCKED
            ) AS oldest
        ) AS job
    )
    UPDATE jobs SET state = 'queued', queued_at = clock_timestamp()
    FROM chosen WHERE jobs.id = chosen.id
    RETURNING jobs.id, jobs.kind, jobs.queue, jobs.flow_key, chosen.turn, chosen.n
""")
_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('huntaze.dispatch.' || :queue, 0))")


def take_due(session: Session, queue: str, room: int, kinds: Mapping[str, int], turns: Turns) -> Taken:
    """waiting -> queued for up to `room` due jobs of a queue, MOST_JOBS at once: by priority, then in turn over each
    kind's flow keys.

    `kinds`: {kind: newest argument version} that some living worker of this queue can run; others wait. One dispatcher
    at a time fills a queue: two would each see the same room.
    """
    if not session.execute(_LOCK, {"queue": queue}).scalar_one():
        return Taken([], more=False)
    room = min(room, MOST_JOBS)
    hints: list[Hint] = []
    more = False
    waiting = [(row.priority, row.kind) for row in session.execute(_KINDS_WAITING, {"queue": queue})]
    turns.rounds += 1
    for priority in sorted({priority for priority, _ in waiting}):
        names = [kind for of, kind in waiting if of == priority and kind in kinds]
        shift = turns.rounds % max(len(names), 1)
        for position, kind in enumerate(rotated := names[shift:] + names[:shift]):
            left = room - len(hints)
            share = -(-left // (len(rotated) - position))
            taken = _take_lanes(session, (queue, priority, kind), share, kinds[kind], turns)
            hints += taken.hints
            more |= taken.more
    return Taken(hints, more)


def _take_lanes(session: Session, lane: tuple[str, int, str], share: int, version: int, turns: Turns) -> Taken:
    """One kind's share of the round, spread evenly over its flow keys from the last one served."""
    queue, priority, kind = lane
    if share <= 0:
        return Taken([], more=True)
    where = {"queue": queue, "priority": priority, "kind": kind}
    after = turns.last.get(lane, "")
    wanted = min(share, MOST_LANES)
    keys = list(session.scalars(_LANES, {**where, "after": after, "limit": wanted}))
    if len(keys) < wanted and after:
        around = session.scalars(_LANES, {**where, "after": "", "limit": wanted - len(keys)})
        keys += [key for key in around if key <= after]
    if not keys:
        return Taken([], more=False)
    turns.last[lane] = keys[-1]
    each = -(-share // len(keys))
    quotas = flow_store.quotas(session, KINDS.get(kind), keys, each)
    open_keys = [key for key in keys if quotas[key] > 0]
    given = {**where, "version": version, "keys": open_keys, "quotas": [quotas[key] for key in open_keys]}
    rows = list(session.execute(_TAKE, given)) if open_keys else []
    flow_store.spend(session, KINDS.get(kind), [row.flow_key for row in rows])
    rows.sort(key=lambda row: (row.turn, row.n))  # everybody's first before anybody's second
    more = len(rows) >= share or any(quota < each for quota in quotas.values())
    return Taken([Hint(row.id, row.kind, row.queue) for row in rows], more)


_PROMOTE = text("""
    UPDATE jobs SET ready = true
    WHERE id IN (
        SELECT id FROM jobs WHERE state = 'waiting' AND NOT ready AND run_at <= clock_timestamp()
        ORDER BY run_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")


def promote(connection: Connection | Session, limit: int = 5000) -> int:
    """Makes ready what was scheduled for a time that has come; returns how many."""
    promoted: int = connection.execute(_PROMOTE, {"limit": limit}).rowcount  # type: ignore[attr-defined]
    return promoted


def put_back(session: Session, ids: Iterable[uuid.UUID]) -> None:
    """queued -> waiting for jobs whose hints could not be sent."""
    session.execute(
        update(Job)
        .where(Job.id.in_(list(ids)), Job.state == JobState.QUEUED)
        .values(state=JobState.WAITING, ready=True)
    )


_OVERDUE = text("""
    UPDATE jobs SET queued_at = clock_timestamp()
    WHERE id IN (
        SELECT id FROM jobs
        WHERE state = 'queued' AND queue = :queue AND queued_at < clock_timestamp() - make_interval(secs => :older_s)
        ORDER BY queued_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, queue
""")


def take_overdue(session: Session, queue: str, older_s: float, limit: int = 5000) -> Sequence[Hint]:
    """Queued jobs of a queue whose hint nobody followed for `older_s` seconds: they are to be sent again."""
    rows = session.execute(_OVERDUE, {"queue": queue, "older_s": older_s, "limit": limit})
    return [Hint(row.id, row.kind, row.queue) for row in sorted(rows, key=lambda row: row.id)]


def stranded(session: Session, kinds: Mapping[str, int]) -> dict[tuple[str, int], int]:
    """{(kind, argument version): jobs} which no living worker knows: they wait for one. `kinds`: what those know."""
    waiting = select(Job.kind, Job.args_version, func.count()).where(Job.state == JobState.WAITING, Job.ready)
    rows = session.execute(waiting.group_by(Job.kind, Job.args_version))
    return {(kind, version): count for kind, version, count in rows if version > kinds.get(kind, 0)}
