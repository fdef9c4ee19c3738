"""In which zone each creator's days are derived. `session` is the caller's transaction; nothing here commits."""

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

_FALLBACK = "UTC"  # of a creator whose zone PostgreSQL does not know, and of what belongs to no creator
_CHANGED = text("""
    SELECT wanted.creator_id, coalesce(users.time_zone, :fallback) AS asked, zones.creator_id IS NULL AS new
    FROM (SELECT creator_id FROM analytics_stale UNION SELECT creator_id FROM analytics_zones) AS wanted
    LEFT JOIN analytics_zones AS zones ON zones.creator_id = wanted.creator_id
    LEFT JOIN users ON users.id = wanted.creator_id
    WHERE zones.creator_id IS NULL OR (users.id IS NOT NULL AND users.time_zone <> zones.asked)
""")
_KNOWN = text("SELECT name FROM pg_timezone_names WHERE name = ANY (cast(:names AS text[]))")
_KEEP = text("""
    INSERT INTO analytics_zones (creator_id, asked, zone) VALUES (:creator_id, :asked, :zone)
    ON CONFLICT (creator_id) DO UPDATE SET asked = excluded.asked, zone = excluded.zone
""")
_FORGET = text("DELETE FROM analytics_periods WHERE creator_id = :creator_id")
# A day of UTC holds parts of two local days at most: its first bucket is of the one, its last of the other.
_MARK = text("""
    WITH ends AS (
        SELECT metric, min(bucket) AS first, max(bucket) AS last FROM analytics_buckets
        WHERE creator_id = :creator_id GROUP BY metric, (bucket AT TIME ZONE 'UTC')::date
    )
    INSERT INTO analytics_stale (creator_id, metric, bucket)
    SELECT cast(:creator_id AS uuid), metric, first FROM ends
    UNION ALL SELECT cast(:creator_id AS uuid), metric, last FROM ends WHERE last <> first
""")


def refresh(session: Session) -> list[uuid.UUID]:
    """Learns the zones of new creators; forgets the days of those that have moved, and marks all their buckets for
    derivation. Returns who moved."""
    changed = session.execute(_CHANGED, {"fallback": _FALLBACK}).all()
    if not changed:
        return []
    known = set(session.scalars(_KNOWN, {"names": sorted({row.asked for row in changed})}))
    zones = {row.asked: row.asked if row.asked in known else _FALLBACK for row in changed}
    rows = [{"creator_id": row.creator_id, "asked": row.asked, "zone": zones[row.asked]} for row in changed]
    session.execute(_KEEP, rows)
    moved = [row.creator_id for row in changed if not row.new]
    for creator_id in moved:
        session.execute(_FORGET, {"creator_id": creator_id})
        session.execute(_MARK, {"creator_id": creator_id})
    return moved
