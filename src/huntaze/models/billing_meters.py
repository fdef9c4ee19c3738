"""Where metered units come from: a seam between billing and the tables of other domains.

Each meter is one query that gives `source_key, creator_id, quantity, occurred_at` of what happened in [since, until).
Keys name what was counted, so a window may be looked at again, and is: what committed late is found by the next look.
"""

from datetime import datetime, timedelta

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

LOOK_BACK = timedelta(days=1)  # no transaction commits later than this after the time it wrote

VIDEOS = "videos"  # analyses that succeeded
AI_COST = "ai_cost_micro_usd"  # what models' calls cost, in millionths of a dollar
STORAGE = "storage_gb_hours"  # gigabytes (10^9 bytes) in store at each full hour

_SOURCES = {
    VIDEOS: """
        SELECT 'video:' || id AS source_key, creator_id, 1::numeric AS quantity, updated_at AS occurred_at
        FROM content_tasks WHERE status = 'succeeded' AND updated_at >= :since AND updated_at < :until
    """,
    AI_COST: """
        SELECT 'ai:' || request_id, creator_id, cost_micro_usd::numeric, settled_at
        FROM usage_logs WHERE settled_at >= :since AND settled_at < :until AND cost_micro_usd > 0 AND NOT sandbox
    """,
    STORAGE: """
        SELECT 'storage:' || creator_id || '@' || extract(epoch FROM hour)::bigint, creator_id, sum(size) / 1e9, hour
        FROM content, (SELECT date_trunc('hour', CAST(:until AS timestamptz)) - interval '1 hour') AS clock (hour)
        WHERE created_at <= hour AND CAST(:since AS timestamptz) < hour GROUP BY creator_id, hour
    """,
}


def _recording(source: str) -> TextClause:
    """Units go to the creator's oldest subscription whose plan has the meter, from the end of its trial on."""
    return text(f"""
        INSERT INTO usage_records (id, subscription_id, meter, quantity, source_key, occurred_at)
        SELECT gen_random_uuid(), subscription.id, :meter, source.quantity, source.source_key, source.occurred_at
        FROM ({source}) AS source (source_key, creator_id, quantity, occurred_at)
        CROSS JOIN LATERAL (
            SELECT one.id FROM subscriptions AS one
            JOIN plan_prices AS price ON price.plan_id = coalesce(one.billed_plan_id, one.plan_id)
            WHERE one.creator_id = source.creator_id AND price.meter = :meter
              AND source.occurred_at >= coalesce(one.trial_end, one.started_at)
              AND source.occurred_at < coalesce(one.ended_at, one.cancel_at, 'infinity')
            ORDER BY one.id LIMIT 1
        ) AS subscription
        ORDER BY source.source_key
        ON CONFLICT (source_key) DO NOTHING
    """)  # noqa: S608 - of constants


_RECORD = {meter: _recording(source) for meter, source in _SOURCES.items()}


def record_all(session: Session, slot: datetime) -> dict[str, int]:
    """Records what happened before `slot` and was not counted yet; returns {meter: units' rows that were new}."""
    window = {"since": slot - LOOK_BACK, "until": slot}
    found = {}
    for meter, statement in _RECORD.items():
        found[meter] = session.execute(statement, {"meter": meter, **window}).rowcount  # type: ignore[attr-defined]
    return found
