"""What was found: posts, their figures over time, search interest, and the rows that were no posts. SQL:
`trend_ingest.py`."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, SmallInteger, String, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Post(Base):
    """A public post, once, by its platform's id. The figures are those of the newest observation; None: not told.

    Who counts posts joins `trend_runs` on `run_id` and takes those that `feeds`. There is no foreign key to runs and
    sources: it would be looked up for every row, and posts outlive both.
    """

    __tablename__ = "posts"
    __table_args__ = (
        UniqueConstraint("platform", "native_id"),
        Index(None, "source_id", "created_at"),
        Index(None, "author_key", postgresql_where="author_key IS NOT NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    platform: Mapped[str] = mapped_column(String(16, collation="C"))  # C: compared as bytes, which is quicker
    native_id: Mapped[str] = mapped_column(String(64, collation="C"))
    kind: Mapped[str] = mapped_column(String(16))  # video, image, carousel, text, link, short
    created_at: Mapped[datetime]  # by the platform's clock
    created_exact: Mapped[bool]  # False: told as "5 years ago" or by the day: of no use to an hourly bucket
    author_key: Mapped[bytes | None]  # keyed HMAC of platform and handle; who it is, nobody can tell without the key
    author_key_version: Mapped[int | None] = mapped_column(SmallInteger)  # which key
    text: Mapped[str] = mapped_column(Text)  # caption, or title and body; mentions and addresses masked
    hashtags: Mapped[list[str]] = mapped_column(ARRAY(Text))  # as written, without #, from field and text, no repeats
    sound_id: Mapped[str | None] = mapped_column(String(64))
    sound_name: Mapped[str | None] = mapped_column(String(200))
    community: Mapped[str | None] = mapped_column(String(100))  # subreddit
    region: Mapped[str | None] = mapped_column(String(8))  # the source's, which asked for it
    language: Mapped[str | None] = mapped_column(String(16))  # as the platform says, else the source's
    is_ad: Mapped[bool | None]  # None: not told, which is not False
    is_repost: Mapped[bool | None]
    views: Mapped[int | None] = mapped_column(BigInteger)
    likes: Mapped[int | None] = mapped_column(BigInteger)  # None: hidden, or not told
    comments: Mapped[int | None] = mapped_column(BigInteger)
    shares: Mapped[int | None] = mapped_column(BigInteger)
    saves: Mapped[int | None] = mapped_column(BigInteger)
    observed_at: Mapped[datetime]  # when the figures were true
    first_seen_at: Mapped[datetime]  # the first observation
    source_id: Mapped[uuid.UUID]  # the first that found it, or the first whose run feeds
    run_id: Mapped[uuid.UUID]


class PostMetric(Base):
    """The figures of a post at one moment. No foreign key, for speed: whoever deletes posts deletes these first."""

    __tablename__ = "post_metrics"
    __table_args__ = (Index(None, "run_id"),)

    post_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    observed_at: Mapped[datetime] = mapped_column(primary_key=True)
    run_id: Mapped[uuid.UUID]
    views: Mapped[int | None] = mapped_column(BigInteger)
    likes: Mapped[int | None] = mapped_column(BigInteger)
    comments: Mapped[int | None] = mapped_column(BigInteger)
    shares: Mapped[int | None] = mapped_column(BigInteger)
    saves: Mapped[int | None] = mapped_column(BigInteger)


class TrendRawRow(Base):
    """One row of a vendor's dataset and what became of it. Deleted HUNTAZE_APIFY_RAW_DAYS after its run.

    `body` is kept of rows that did not become posts, and of these without what names or describes a person; of the
    others the post is all that is kept.
    """

    __tablename__ = "trend_raw_rows"
    __table_args__ = (
        Index(None, "run_id", postgresql_where="outcome = 'quarantined'"),
        Index(None, "author_key", postgresql_where="author_key IS NOT NULL"),
    )

    dataset_id: Mapped[str] = mapped_column(String(64, collation="C"), primary_key=True)
    row_offset: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[uuid.UUID]
    outcome: Mapped[str] = mapped_column(String(16))  # post, interest, sentinel, ignored, quarantined
    reason: Mapped[str | None] = mapped_column(String(32))  # of what is no post: no_results, id_missing, ...
    author_key: Mapped[bytes | None]  # so that a deletion by author finds it
    body: Mapped[dict[str, Any] | None]


class TrendInterest(Base):
    """Search interest in a term: 0..100 relative to the highest point of its own run, so never compared across runs."""

    __tablename__ = "trend_interest"

    run_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    term: Mapped[str] = mapped_column(String(200), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[int | None] = mapped_column(SmallInteger)  # None: the platform has no data, which is not 0


class ForgottenAuthor(Base):
    """An author who asked to be left out: what is scraped of theirs later is dropped."""

    __tablename__ = "forgotten_authors"

    author_key: Mapped[bytes] = mapped_column(primary_key=True)
    forgotten_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
