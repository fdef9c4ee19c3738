"""How a page of a dataset comes into the tables: once, however often it is read, at the speed of COPY.

`session` is the caller's transaction; nothing here commits. Posts are unique by (platform, native id), figures by
(post, observation), raw rows by (dataset, offset), and the run's checkpoint moves in the same transaction.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models.base import new_id
from huntaze.pipelines.trends.posts.health import count_nulls
from huntaze.pipelines.trends.posts.post import Interest, NoPost, Outcome, Post, Row
from huntaze.pipelines.trends.posts.scrub import scrub


@dataclass(frozen=True)
class PageOf:
    """Whose page: what all rows of a run have in common."""

    run_id: uuid.UUID
    source_id: uuid.UUID
    dataset_id: str
    observed_at: datetime
    key_version: int
    region: str | None = None  # the source's: where a row tells none
    language: str | None = None


@dataclass(frozen=True)
class Stored:
    """What a page came to. `posts`: different ones; `nulls`: {field: posts without it}."""

    rows: int
    posts: int
    posts_new: int
    quarantined: int
    sentinels: int
    nulls: dict[str, int]


_STAGE = text("""
    CREATE TEMP TABLE IF NOT EXISTS staged_posts (
        id uuid, native_id text COLLATE "C", kind text, created_at timestamptz, created_exact bool, author_key bytea,
        text text, hashtags text, sound_id text, sound_name text, community text, language text, is_ad bool,
        is_repost bool, views int8, likes int8, comments int8, shares int8, saves int8
    ) ON COMMIT DELETE ROWS
""")
_TAGS, _BETWEEN = Post._fields.index("hashtags"), "\x1f"
_COPY = "COPY staged_posts FROM STDIN (FORMAT binary)"
_TYPES = ("uuid", "text", "text", "timestamptz", "bool", "bytea", *["text"] * 6, "bool", "bool", *["int8"] * 5)
_FORGET = text("DELETE FROM staged_posts WHERE author_key IN (SELECT author_key FROM forgotten_authors) RETURNING 1")
_FIGURES = ("views", "likes", "comments", "shares", "saves")
_KEPT = ", ".join(f"{name} = coalesce(excluded.{name}, posts.{name})" for name in _FIGURES)
# In the order of the key: two pages with posts in common wait for one another, and do not block each other for good. A
# post that is told again without anything newer is not written again. `xmax` is 0 where the row is new.
_UPSERT = text(f"""
    WITH stored AS (
        INSERT INTO posts AS posts (
            id, platform, native_id, kind, created_at, created_exact, author_key, author_key_version, text, hashtags,
            sound_id, sound_name, community, region, language, is_ad, is_repost, views, likes, comments, shares, saves,
            observed_at, first_seen_at, source_id, run_id
        )
        SELECT id, :platform, native_id, kind, created_at, created_exact, author_key,
               CASE WHEN author_key IS NOT NULL THEN cast(:key_version AS int2) END, text,
               string_to_array(hashtags, E'\x1f'), sound_id, sound_name, community,
               :region, coalesce(language, :language), is_ad, is_repost,
               views, likes, comments, shares, saves, :observed_at, :observed_at, :source_id, :run_id
        FROM staged_posts ORDER BY native_id
        ON CONFLICT (platform, native_id) DO UPDATE SET {_KEPT}, observed_at = excluded.observed_at,
            text = excluded.text, hashtags = excluded.hashtags,
            author_key = coalesce(excluded.author_key, posts.author_key),
            author_key_version = coalesce(excluded.author_key_version, posts.author_key_version)
        WHERE posts.observed_at < excluded.observed_at
        RETURNING id, native_id, xmax = 0 AS fresh
    ), measured AS (
        INSERT INTO post_metrics (post_id, observed_at, run_id, views, likes, comments, shares, saves)
        SELECT stored.id, :observed_at, :run_id, views, likes, comments, shares, saves
        FROM stored JOIN staged_posts USING (native_id)
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) AS written, count(*) FILTER (WHERE fresh) AS fresh FROM stored
""")  # noqa: S608 - of constants
# The figures of an older look at a post: each found by the index, whatever the planner believes of the sizes.
_LATE_METRICS = text("""
    INSERT INTO post_metrics (post_id, observed_at, run_id, views, likes, comments, shares, saves)
    SELECT known.id, :observed_at, :run_id, views, likes, comments, shares, saves
    FROM staged_posts CROSS JOIN LATERAL (
        SELECT id FROM posts WHERE platform = :platform AND native_id = staged_posts.native_id LIMIT 1
    ) AS known
    ON CONFLICT DO NOTHING
""")
_EMPTY = text("DELETE FROM staged_posts")  # the transaction may bring another page; TRUNCATE changes the catalogue
_RAW_POSTS = text("""
    INSERT INTO trend_raw_rows (dataset_id, row_offset, run_id, outcome)
    SELECT :dataset_id, generate_series(first, last), :run_id, 'post'
    FROM unnest(cast(:firsts AS int[]), cast(:lasts AS int[])) AS told (first, last)
    ON CONFLICT DO NOTHING
""")
_RAW_OTHERS = text("""
    INSERT INTO trend_raw_rows (dataset_id, row_offset, run_id, outcome, reason, author_key, body)
    SELECT :dataset_id, row_offset, :run_id, outcome, reason, decode(author_key, 'hex'), body
    FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS told (
        row_offset int, outcome text, reason text, author_key text, body jsonb
    )
    ON CONFLICT DO NOTHING
""")
_INTEREST = text("""
    INSERT INTO trend_interest (run_id, term, at, value)
    SELECT :run_id, term, at, value
    FROM jsonb_to_recordset(cast(:points AS jsonb)) AS told (term text, at timestamptz, value int2)
    ON CONFLICT DO NOTHING
""")


def store_page(session: Session, page: PageOf, offset: int, rows: Sequence[Row], items: Sequence[object]) -> Stored:
    """Stores the rows of a page that begins at `offset`, with `items` as they came. Moves no checkpoint."""
    others = [(at, row) for at, row in enumerate(rows, offset) if isinstance(row, NoPost)]
    posts, fresh = store_posts(session, page, [row for row in rows if isinstance(row, Post)])
    interest = _store_interest(session, page, [row for row in rows if isinstance(row, Interest)])
    _store_raw(session, page, offset, rows, items)
    outcomes = [row.outcome for _, row in others]
    return Stored(
        rows=len(rows),
        posts=len(posts) + interest,
        posts_new=fresh,
        quarantined=outcomes.count(Outcome.QUARANTINED),
        sentinels=outcomes.count(Outcome.SENTINEL),
        nulls=count_nulls(posts),
    )


def store_posts(session: Session, page: PageOf, told: Iterable[Post]) -> tuple[list[Post], int]:
    """Posts of one platform and their figures. Returns the different ones, and how many were never seen before.

    Those of authors who asked to be forgotten are left out, whoever scrapes them."""
    posts = list({post.native_id: post for post in told}.values())
    if not posts:
        return [], 0
    session.execute(_STAGE)
    with _cursor(session) as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for post in posts:
            # One text: an array costs psycopg as much as the rest of the row.
            copy.write_row((new_id(), *post[1:_TAGS], _BETWEEN.join(post.hashtags), *post[_TAGS + 1 :]))
    given = {
        "platform": posts[0].platform,
        "key_version": page.key_version,
        "region": page.region,
        "language": page.language,
        "observed_at": page.observed_at,
        "source_id": page.source_id,
        "run_id": page.run_id,
    }
    left_out = len(session.execute(_FORGET).all())
    written, fresh = session.execute(_UPSERT, given).one()
    if written < len(posts) - left_out:
        session.execute(_LATE_METRICS, given)
    session.execute(_EMPTY)
    return posts, fresh


def _cursor(session: Session) -> psycopg.Cursor[Any]:
    """psycopg's own, in the session's transaction: SQLAlchemy has no COPY."""
    connection: Any = session.connection().connection.dbapi_connection
    cursor: psycopg.Cursor[Any] = connection.cursor()
    return cursor


def _store_interest(session: Session, page: PageOf, rows: Sequence[Interest]) -> int:
    points = [point._asdict() for row in rows for point in row.points]
    if points:
        session.execute(_INTEREST, {"run_id": page.run_id, "points": json.dumps(points, default=str)})
    return len(rows)


def _store_raw(session: Session, page: PageOf, offset: int, rows: Sequence[Row], items: Sequence[object]) -> None:
    given = {"dataset_id": page.dataset_id, "run_id": page.run_id}
    firsts, lasts = _runs([at for at, row in enumerate(rows, offset) if isinstance(row, Post)])
    if firsts:
        session.execute(_RAW_POSTS, {**given, "firsts": firsts, "lasts": lasts})
    others = [
        _raw(at, row, item)
        for at, (row, item) in enumerate(zip(rows, items, strict=True), offset)
        if not isinstance(row, Post)
    ]
    if others:
        session.execute(_RAW_OTHERS, {**given, "rows": json.dumps(others)})


def _runs(offsets: Sequence[int]) -> tuple[list[int], list[int]]:
    """Where runs of numbers that follow one another begin and end: most pages are one."""
    ends = [at for at, (one, following) in enumerate(pairwise(offsets), 1) if following != one + 1]
    return [*offsets[:1], *(offsets[at] for at in ends)], [*(offsets[at - 1] for at in ends), *offsets[-1:]]


def _raw(at: int, row: NoPost | Interest, item: object) -> dict[str, Any]:
    if isinstance(row, Interest):
        return {"row_offset": at, "outcome": Outcome.INTEREST}
    kept = row.outcome in (Outcome.QUARANTINED, Outcome.SENTINEL)  # what is not for us is not kept at all
    return {
        "row_offset": at,
        "outcome": row.outcome,
        "reason": row.reason,
        "author_key": None if row.author_key is None else row.author_key.hex(),
        "body": scrub(item) if kept else None,
    }
