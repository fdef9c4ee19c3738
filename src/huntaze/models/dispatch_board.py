"""The dispatcher's look around: who waits, who works, what is overdue. One statement, all that an idle one asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from huntaze.models.node_store import SILENT_S, Capacity, add_up


@dataclass(frozen=True)
class Board:
    """What a round is decided by, seen at one moment.

    `queues`: with due jobs, not paused. `under_way`: {queue: (with the broker, running)}. `next_due_s`: until the next
    scheduled job, negative if it is due; None: nothing is scheduled. `expired`: some lease ran out. `unplaced`: some
    event has no position yet. `batches`: some batch is open.
    """

    queues: list[str]
    capacity: dict[str, Capacity]
    under_way: Mapping[str, tuple[int, int]]
    next_due_s: float | None
    expired: bool
    unplaced: bool
    batches: bool


# A healthy lease is renewed with two thirds of it left. Whoever has let it sink below a third may be dead: its slot
# is not waited for.
_LOOK = text("""
    WITH RECURSIVE found AS (
        (SELECT queue FROM jobs WHERE state = 'waiting' AND ready ORDER BY queue LIMIT 1)
        UNION ALL
        SELECT (SELECT queue FROM jobs WHERE state = 'waiting' AND ready AND queue > found.queue ORDER BY queue LIMIT 1)
        FROM found WHERE found.queue IS NOT NULL
    ), active AS (
        SELECT queue, count(*) FILTER (WHERE state = 'queued') AS queued,
               count(*) FILTER (
                   WHERE state = 'running' AND lease_until > clock_timestamp() + make_interval(secs => :third)
               ) AS running
        FROM jobs WHERE state IN ('queued', 'running') GROUP BY queue
    )
    SELECT
        ARRAY(
            SELECT queue FROM found
            WHERE queue IS NOT NULL AND NOT EXISTS (SELECT FROM pauses WHERE scope = 'queue' AND name = queue)
        ) AS queues,
        (SELECT jsonb_agg(jsonb_build_array(queues, slots, kinds)) FROM nodes
         WHERE seen_at > clock_timestamp() - make_interval(secs => :silent)) AS nodes,
        (SELECT jsonb_object_agg(queue, jsonb_build_array(queued, running)) FROM active) AS under_way,
        (SELECT extract(epoch FROM min(run_at) - clock_timestamp())::float8 FROM jobs
         WHERE state = 'waiting' AND NOT ready) AS next_due_s,
        EXISTS (SELECT FROM jobs WHERE state = 'running' AND lease_until < clock_timestamp()) AS expired,
        EXISTS (SELECT FROM events WHERE position IS NULL) AS unplaced,
        EXISTS (SELECT FROM batches WHERE ended_at IS NULL) AS batches
""")


def look(connection: Connection, lease_s: float) -> Board:
    """The board as it is now; `lease_s` is the length of a fresh lease, in seconds."""
    row = connection.execute(_LOOK, {"third": lease_s / 3, "silent": SILENT_S}).one()
    return Board(
        queues=row.queues,
        capacity=add_up((queues, slots, kinds) for queues, slots, kinds in row.nodes or []),
        under_way={queue: (queued, running) for queue, (queued, running) in (row.under_way or {}).items()},
        next_due_s=row.next_due_s,
        expired=row.expired,
        unplaced=row.unplaced,
        batches=row.batches,
    )
