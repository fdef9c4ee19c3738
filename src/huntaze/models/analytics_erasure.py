"""One person's data, gone on request: from the facts, and from all that was counted of them. With a receipt.

What remains are numbers: the events of a bucket whose facts are dropped already stay counted, the person among its
persons does not. `session` is the caller's transaction; nothing here commits.
"""

import uuid
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import analytics_cursor
from huntaze.models.analytics import Erasure
from huntaze.models.analytics_figures import columns_of
from huntaze.models.analytics_partitions import Month, instant
from huntaze.pipelines.analytics.buckets import next_month
from huntaze.pipelines.analytics.facts import MOST_REVISION, person_key
from huntaze.pipelines.analytics.sketches import Held, without_person

_AT_ONCE = 500  # rows of a turn; a sketch has 32 KB

_WHOSE = "(cast(:creator_id AS uuid) IS NULL OR creator_id = :creator_id)"
# Their ids stay, at a revision that none can exceed: neither a repeat nor a correction brings them back.
_ERASE = text(f"""
    WITH gone AS (
        DELETE FROM analytics_facts
        WHERE {_WHOSE} AND person = :person AND bucket >= :start AND bucket < :end
        RETURNING creator_id, event_id, metric, bucket
    ), barred AS (
        UPDATE analytics_event_ids AS known SET revision = :most FROM gone
        WHERE known.creator_id = gone.creator_id AND known.event_id = gone.event_id
    ), told AS (
        INSERT INTO analytics_dirty (creator_id, metric, bucket)
        SELECT DISTINCT creator_id, metric, bucket FROM gone RETURNING 1
    )
    UPDATE analytics_erasures
    SET facts = facts + (SELECT count(*) FROM gone), buckets = buckets + (SELECT count(*) FROM told) WHERE id = :id
""")  # noqa: S608 - of constants
_FINAL = text(f"""
    SELECT creator_id, metric, bucket, label, persons, persons_sketch FROM analytics_buckets
    WHERE {_WHOSE} AND bucket < :facts_from AND (persons @> ARRAY[cast(:person AS int8)] OR persons_sketch IS NOT NULL)
      AND (creator_id, metric, bucket, label) > (:after_creator, :after_metric, :after_bucket, :after_label)
    ORDER BY creator_id, metric, bucket, label LIMIT :limit
""")  # noqa: S608 - of constants
_KEEP = text("""
    UPDATE analytics_buckets SET persons = :persons, persons_sketch = :persons_sketch
    WHERE creator_id = :creator_id AND metric = :metric AND bucket = :bucket AND label = :label
""")
_STALE = text("INSERT INTO analytics_stale (creator_id, metric, bucket) VALUES (:creator_id, :metric, :bucket)")
_REMAINS = text(f"""
    SELECT (SELECT count(*) FROM analytics_facts WHERE {_WHOSE} AND person = :person)
         + (SELECT count(*) FROM analytics_buckets WHERE {_WHOSE} AND persons @> ARRAY[cast(:person AS int8)])
         + (SELECT count(*) FROM analytics_periods WHERE {_WHOSE} AND persons @> ARRAY[cast(:person AS int8)])
""")  # noqa: S608 - of constants
_DONE = text("UPDATE analytics_erasures SET done_at = clock_timestamp() WHERE id = :id AND done_at IS NULL")

Place = tuple[uuid.UUID, str, Any, str]  # of a bucket: its key
FIRST: Place = (uuid.UUID(int=0), "", "-infinity", "")


def ask(session: Session, creator_id: uuid.UUID | None, person: str) -> Erasure:
    """Notes the request, by the person's pseudonym alone. `creator_id`: whose facts; None: everybody's."""
    session.add(erasure := Erasure(creator_id=creator_id, person=person_key(person)))
    session.flush()
    return erasure


def find(session: Session, erasure_id: uuid.UUID, creator_id: uuid.UUID | None = None) -> Erasure | None:
    """The request, if it is this creator's; any for an operator (None)."""
    query = select(Erasure).where(Erasure.id == erasure_id)
    return session.scalars(query if creator_id is None else query.where(Erasure.creator_id == creator_id)).one_or_none()


def erase_month(session: Session, erasure: Erasure, month: Month) -> None:
    """Deletes the person's facts of one month; what was counted of them is marked to be counted anew."""
    analytics_cursor.lock(
        session, wait=True
    )  # so that the month is not dropped meanwhile, with its buckets as they are
    span = {"start": instant(month.start), "end": instant(next_month(month.start))}
    session.execute(_ERASE, {"id": erasure.id, "most": MOST_REVISION, **_whose(erasure), **span})


def erase_final(session: Session, erasure: Erasure, after: Place) -> Place | None:
    """Takes the person out of buckets whose facts are dropped, a few at a time, from a place on; returns where to go
    on: None at the end."""
    cursor = analytics_cursor.lock(session, wait=True)
    if cursor is None or cursor.facts_from is None:
        return None
    places = dict(zip(("after_creator", "after_metric", "after_bucket", "after_label"), after, strict=True))
    given = {**_whose(erasure), **places, "facts_from": cursor.facts_from, "limit": _AT_ONCE}
    rows = session.execute(_FINAL, given).all()
    changed = []
    for row in rows:
        held = Held(row.persons, row.persons_sketch)
        left = without_person(held, erasure.person)
        if left != held:
            key = {name: getattr(row, name) for name in ("creator_id", "metric", "bucket", "label")}
            changed.append({**key, **columns_of(left, Held())})
    if changed:
        session.execute(_KEEP, changed)
        session.execute(_STALE, changed)
    return tuple(rows[-1][:4]) if len(rows) == _AT_ONCE else None


def remains(session: Session, erasure: Erasure) -> int:
    """Rows in which the person can still be found: 0 once all is counted anew."""
    return int(session.execute(_REMAINS, _whose(erasure)).scalar_one())


def finish(session: Session, erasure_id: uuid.UUID) -> dict[str, Any]:
    """Signs the receipt; the same if it is signed already."""
    session.execute(_DONE, {"id": erasure_id})
    return receipt(session.get_one(Erasure, erasure_id, populate_existing=True))


def receipt(erasure: Erasure) -> dict[str, Any]:
    """What can be shown to whoever asked; `person` is the pseudonym, 16 hexadecimal digits."""
    return {
        "id": str(erasure.id),
        "person": f"{erasure.person & (1 << 64) - 1:016x}",
        "facts": erasure.facts,
        "buckets": erasure.buckets,
        "asked_at": erasure.asked_at.isoformat(),
        "done_at": None if erasure.done_at is None else erasure.done_at.isoformat(),
    }


def _whose(erasure: Erasure) -> dict[str, Any]:
    return {"creator_id": erasure.creator_id, "person": erasure.person}
