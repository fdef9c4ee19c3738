"""What is deleted of scraping: rows and posts past their days, and all of an author who asks for it.

`session` is the caller's transaction; nothing here commits. One call deletes one small batch: no lock is held for long.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

ROWS = 1000  # of one call

# By datasets, which are few, from one to the next by the key: an index on the time of each row would cost as much as
# storing it. A run that went with its source or its owner takes its rows along.
_RAW = text("""
    WITH RECURSIVE kept (dataset_id) AS (
        (SELECT dataset_id FROM trend_raw_rows ORDER BY dataset_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT raw.dataset_id FROM trend_raw_rows AS raw WHERE raw.dataset_id > kept.dataset_id
            ORDER BY raw.dataset_id LIMIT 1
        ) FROM kept WHERE kept.dataset_id IS NOT NULL
    ), past AS (
        SELECT kept.dataset_id FROM kept LEFT JOIN trend_runs AS run ON run.dataset_id = kept.dataset_id
        WHERE kept.dataset_id IS NOT NULL AND (run.id IS NULL OR run.ended_at < :before) LIMIT 1
    )
    DELETE FROM trend_raw_rows WHERE dataset_id IN (SELECT dataset_id FROM past) RETURNING 1
""")
_DISPATCHES = text("""
    DELETE FROM apify_dispatches WHERE dispatch_id IN (
        SELECT dispatch_id FROM apify_dispatches WHERE received_at < :before ORDER BY received_at LIMIT :limit
    ) RETURNING 1
""")
# Figures first: they have no foreign key that would take them along.
_GONE = """
    , measured AS (DELETE FROM post_metrics USING gone WHERE post_id = gone.id),
    deleted AS (DELETE FROM posts USING gone WHERE posts.id = gone.id RETURNING 1)
    SELECT count(*) FROM deleted
"""
# By sources, as the rows by datasets.
_POSTS = text(f"""
    WITH RECURSIVE kept (source_id) AS (
        (SELECT source_id FROM posts ORDER BY source_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT post.source_id FROM posts AS post WHERE post.source_id > kept.source_id
            ORDER BY post.source_id LIMIT 1
        ) FROM kept WHERE kept.source_id IS NOT NULL
    ), gone AS MATERIALIZED (
        SELECT past.id FROM kept CROSS JOIN LATERAL (
            SELECT id FROM posts
            WHERE source_id = kept.source_id AND created_at < :before AND observed_at < :before
            ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
        ) AS past LIMIT :limit
    ){_GONE}
""")  # noqa: S608 - of constants
_AUTHORS = text(f"""
    WITH gone AS MATERIALIZED (SELECT id FROM posts WHERE author_key = ANY(:keys) LIMIT :limit FOR UPDATE){_GONE}
""")  # noqa: S608 - of constants
_AUTHORS_RAW = text("""
    DELETE FROM trend_raw_rows WHERE (dataset_id, row_offset) IN (
        SELECT dataset_id, row_offset FROM trend_raw_rows WHERE author_key = ANY(:keys) LIMIT :limit
    ) RETURNING 1
""")
_KEEP_OUT = text(
    "INSERT INTO forgotten_authors (author_key) SELECT unnest(cast(:keys AS bytea[])) ON CONFLICT DO NOTHING"
)


def prune_raw(session: Session, before: datetime) -> int:
    """Deletes the rows of one dataset whose run ended before; returns how many."""
    return len(session.execute(_RAW, {"before": before}).all())


def prune_dispatches(session: Session, before: datetime) -> int:
    """Deletes webhooks that came before: nobody delivers them again after so long. Returns how many."""
    return len(session.execute(_DISPATCHES, {"before": before, "limit": ROWS}).all())


def prune_posts(session: Session, before: datetime) -> int:
    """Deletes posts that were made, and last seen, before; returns how many."""
    return int(session.execute(_POSTS, {"before": before, "limit": ROWS}).scalar_one())


def keep_out(session: Session, author_keys: Sequence[bytes]) -> None:
    """Drops what is scraped of these authors from now on. First, or a run under way brings back what is deleted."""
    session.execute(_KEEP_OUT, {"keys": list(author_keys)})


def forget_posts(session: Session, author_keys: Sequence[bytes]) -> int:
    """Deletes posts of these authors; returns how many."""
    return int(session.execute(_AUTHORS, {"keys": list(author_keys), "limit": ROWS}).scalar_one())


def forget_raw(session: Session, author_keys: Sequence[bytes]) -> int:
    """Deletes rows of datasets that are theirs; returns how many."""
    return len(session.execute(_AUTHORS_RAW, {"keys": list(author_keys), "limit": ROWS}).all())
