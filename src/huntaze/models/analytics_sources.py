"""What the other domains did, as facts: one registry, from the rows that those domains keep anyway.

A trigger on such a table names the row in `analytics_heard`, in the transaction that wrote it; a turn here takes the
names away and loads the facts, in one transaction of its own. So a domain knows nothing of figures and waits for none
of their locks; what is rolled back is not told; and what a crash breaks off is taken again. A row that is named twice
is one fact: its id is made of the row's. `session` is the caller's transaction; nothing here commits.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from huntaze.models import analytics_cursor, analytics_facts
from huntaze.pipelines.analytics.facts import MOST_LABEL, Fact, person_key
from huntaze.pipelines.analytics.metrics import METRICS

ROWS = 5000  # that were named, of one turn

_TAKE = text("""
    DELETE FROM analytics_heard
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM analytics_heard LIMIT :limit FOR UPDATE SKIP LOCKED))
    RETURNING source, row_id
""")
_MORE = text("SELECT EXISTS (SELECT FROM analytics_heard)")
# {table: its rows as (id, creator_id, occurred_at, metric, value, person, label, revision)}. A higher revision takes
# the place of what the row said before.
SOURCES = {
    "content": text("""
        SELECT id, creator_id, created_at AS occurred_at, 'videos.uploaded' AS metric, size AS value,
               NULL AS person, '' AS label, 0 AS revision
        FROM content WHERE id = ANY (:ids) AND kind = 'video' AND etag IS NOT NULL
    """),
    "offer_redemptions": text("""
        SELECT taken.id, offers.creator_id, taken.redeemed_at AS occurred_at, 'offers.redeemed' AS metric, 0 AS value,
               taken.fan_id AS person, offers.id::text AS label, 0 AS revision
        FROM offer_redemptions AS taken JOIN offers ON offers.id = taken.offer_id WHERE taken.id = ANY (:ids)
    """),
    "subscription_changes": text("""
        SELECT told.id, own.creator_id, told.at AS occurred_at,
               CASE told.kind WHEN 'start' THEN 'subscriptions.started' ELSE 'subscriptions.ended' END AS metric,
               0 AS value, own.customer AS person, plans.code AS label, 0 AS revision
        FROM subscription_changes AS told JOIN subscriptions AS own ON own.id = told.subscription_id
        JOIN plans ON plans.id = own.plan_id
        WHERE told.id = ANY (:ids) AND told.kind IN ('start', 'end')
    """),
    # A call that was taken for lost may come back and tell what it cost.
    "usage_logs": text("""
        SELECT request_id AS id, creator_id, created_at AS occurred_at, metric, value, NULL AS person, label,
               CASE outcome WHEN 'lost' THEN 0 ELSE 1 END AS revision
        FROM usage_logs CROSS JOIN LATERAL (
            VALUES ('ai.calls', coalesce(latency_ms, 0), outcome), ('ai.cost', cost_micro_usd, deployment)
        ) AS told (metric, value, label)
        WHERE request_id = ANY (:ids) AND settled_at IS NOT NULL AND NOT cache_hit
    """),
}


@dataclass(frozen=True)
class Turn:
    """What one turn took. `facts`: those that are new, or correct others. `more`: there is another one to take."""

    rows: int
    facts: int
    more: bool


def take(session: Session, limit: int = ROWS) -> Turn:
    """Makes facts of rows that were named; of those that are gone, or older than all that is counted, nothing."""
    named: dict[str, set[uuid.UUID]] = defaultdict(set)
    taken = session.execute(_TAKE, {"limit": limit}).all()
    for row in taken:
        named[row.source].add(row.row_id)
    own: dict[uuid.UUID, list[Fact]] = defaultdict(list)
    for creator_id, fact in _facts(session, named):
        own[creator_id].append(fact)
    loaded = [analytics_facts.load(session, creator_id, own[creator_id]) for creator_id in sorted(own)]
    facts = sum(one.accepted + one.replaced for one in loaded)
    return Turn(len(taken), facts, bool(session.execute(_MORE).scalar_one()))


def _facts(session: Session, named: dict[str, set[uuid.UUID]]) -> Iterator[tuple[uuid.UUID, Fact]]:
    facts_from = analytics_cursor.facts_from(session)
    for source, ids in sorted(named.items()):
        for row in session.execute(SOURCES[source], {"ids": list(ids)}):
            if facts_from is None or row.occurred_at >= facts_from:
                yield row.creator_id or analytics_facts.PLATFORM, _fact(row)


def _fact(row: Row[tuple[object, ...]]) -> Fact:
    counted = row.person is not None and METRICS[row.metric].persons
    return Fact(
        event_id=uuid.uuid5(row.id, row.metric),  # one row may be told by several metrics
        metric=row.metric,
        occurred_at=row.occurred_at,
        value=row.value,
        person=person_key(row.person) if counted else None,
        label=row.label[:MOST_LABEL],
        revision=row.revision,
    )
