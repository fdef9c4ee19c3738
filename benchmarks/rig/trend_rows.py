"""Made-up trends in the ledger's own tables, with posts, as detection leaves them."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.rig.creators import SPLIT, World
from benchmarks.rig.processes import Rig
from huntaze.models import user_store
from huntaze.models.base import new_id
from huntaze.pipelines.recommend.interests import Work
from huntaze.pipelines.recommend.rank import Candidate

POSTS = 3  # of a trend
_SOURCE = text("""
    INSERT INTO trend_sources (id, platform, query, cron, next_run_at, actor, max_items, max_charge_micro_usd, state)
    VALUES (:id, 'tiktok', '#bench', '0 * * * *', clock_timestamp(), 'a/b', 100, 1, 'active')
""")
_FRAME = text("""
    INSERT INTO topic_frames (id, source_id, max_items, platform, scored_until, seen, typical)
    VALUES (:frame, :id, 100, 'tiktok', clock_timestamp(), 100, 100)
""")
_TRENDS = (
    text("""
        INSERT INTO topics (id, kind, name)
        SELECT id, 'hashtag', name FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS t (id uuid, name text)
    """),
    text("""
        INSERT INTO detector_states (frame_id, topic_id, hour, state)
        SELECT :frame, id, clock_timestamp(), '' FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS t (id uuid)
    """),
    text("""
        INSERT INTO trends (id, topic_id, state, platforms, regions, started_at, peak_at, strength, level, peak_level,
                            velocity, confidence, posts, authors, related)
        SELECT id, id, 'emerging', '{tiktok}', '{}', started, peak, strength, 1, 1, 0, confidence, 12, 9, related
        FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS t (
            id uuid, started timestamptz, peak timestamptz, strength float, confidence float, related jsonb
        )
    """),
    text("""
        INSERT INTO posts (id, platform, native_id, kind, created_at, created_exact, text, hashtags, observed_at,
                           first_seen_at, source_id, run_id)
        SELECT gen_random_uuid(), 'tiktok', t.id || '-' || n, 'video', peak, true, said, '{}', peak, peak, :id, :id
        FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS t (id uuid, peak timestamptz, said text),
             generate_series(1, :posts) AS n
    """),
    text("""
        INSERT INTO trend_evidence (trend_id, post_id, rank)
        SELECT cast(left(native_id, 36) AS uuid), id, cast(substr(native_id, 38) AS int2) FROM posts
    """),
)
_WORK = (
    text("""
        INSERT INTO content (id, creator_id, kind, name, object_key, content_type, size, created_at)
        VALUES (:id, :creator_id, 'video', 'clip.mp4', cast(:id AS text), 'video/mp4', 1, :at)
    """),
    text("""
        INSERT INTO content_tasks (id, creator_id, content_id, status, progress, analysis)
        VALUES (:id, :creator_id, :id, 'succeeded', 1, cast(:analysis AS jsonb))
    """),
)


def fill(stores: Rig, world: World) -> list[uuid.UUID]:
    """The world's trends, as if its split were now, and its creators with their works; returns who they are."""
    shift = datetime.now(UTC) - SPLIT
    rows = [_row(one, shift) for one in world.candidates]
    facts = {"id": new_id(), "frame": new_id(), "rows": json.dumps(rows, default=str), "posts": POSTS}
    with stores.sessions.begin() as session:
        for statement in (_SOURCE, _FRAME, *_TRENDS):
            session.execute(statement, {name: facts[name] for name in statement.compile().params})
        creators = [user_store.ensure_user(session, f"creator{at}").id for at in range(len(world.works))]
        for creator_id, works in zip(creators, world.works, strict=True):
            _store_works(session, creator_id, works, shift)
    with stores.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE"))
    return creators


def _row(one: Candidate, shift: timedelta) -> dict[str, Any]:
    related = [{"kind": "hashtag", "name": tag, "share": share} for tag, share in one.tags.items() if share < 1]
    times = {"started": one.started_at + shift, "peak": one.peak_at + shift}
    figures = {"strength": one.strength, "confidence": one.confidence}
    return {"id": one.id, "name": one.name, "said": one.text, "related": related, **times, **figures}


def _store_works(session: Session, creator_id: uuid.UUID, works: Sequence[Work], shift: timedelta) -> None:
    for work in works:
        analysis = json.dumps({"summary": work.text, "tags": list(work.tags)})
        bound = {"id": new_id(), "creator_id": creator_id, "at": work.at + shift, "analysis": analysis}
        for statement in _WORK:
            session.execute(statement, {name: bound[name] for name in statement.compile().params})
