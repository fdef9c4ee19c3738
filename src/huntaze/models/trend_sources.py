"""What is scraped: sources, the runs of actors on them, and what was noticed on the way. SQL: `trend_run_store.py`,
`trend_source_store.py`."""

import enum
import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class SourceState(enum.StrEnum):
    """Whether the schedule runs a source."""

    ACTIVE = "active"
    PAUSED = "paused"  # somebody asked for it; a run by hand still goes


class RunState(enum.StrEnum):
    """Where a run stands. Two states move, five are ends."""

    # The row is there and its money reserved, nothing is known of the vendor's side. If `start_tried_at` is set, a
    # start was sent and its answer is not known: the actor's recent runs are looked at before another is sent.
    INTENDED = "intended"
    # `external_id` is known. Leaves by what the vendor says when it is asked.
    STARTED = "started"
    # The vendor's run ended, its cost is settled and its dataset is being read, from `dataset_offset` on.
    COLLECTING = "collecting"
    # Every item was looked at. `feeds` and `verdict` say what it is worth.
    COLLECTED = "collected"
    FAILED = "failed"  # nothing to collect; error_code says why
    SKIPPED = "skipped"  # the month's money was spent: nothing was sent
    CANCELLED = "cancelled"  # somebody cancelled its job


class Verdict(enum.StrEnum):
    """What a collected run tells of the world."""

    SAMPLE = "sample"  # a sample of so many posts
    UNKNOWN = "unknown"  # the actor found nothing or was held off: unknown, which is not zero
    PARTIAL = "partial"  # the run was cut short: its posts are posts, their number says nothing
    UNHEALTHY = "unhealthy"  # fields or rows are missing beyond what is usual: an alarm is open


def _known(column: str, values: type[enum.StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(v.value) for v in values)})", name=f"{column}_known")


class TrendSource(Base):
    """One question that is asked of a platform on a schedule. Without a creator it is everybody's."""

    __tablename__ = "trend_sources"
    __table_args__ = (
        _known("state", SourceState),
        CheckConstraint("max_items > 0 AND max_charge_micro_usd > 0", name="caps_positive"),
        UniqueConstraint("creator_id", "platform", "query", "region", "language", postgresql_nulls_not_distinct=True),
        Index("ix_trend_sources_due", "next_run_at", postgresql_where="state = 'active'"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    platform: Mapped[str] = mapped_column(String(16))  # pipelines/trends/posts/post.py: Platform
    query: Mapped[str] = mapped_column(String(200))  # #hashtag, @profile, or words to search for
    region: Mapped[str | None] = mapped_column(String(8))  # ISO 3166-1 alpha-2
    language: Mapped[str | None] = mapped_column(String(8))  # ISO 639-1
    cron: Mapped[str] = mapped_column(String(64))  # five fields, UTC
    next_run_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))  # owner/name
    build: Mapped[str | None] = mapped_column(String(32))  # pinned; None until a healthy run has shown one
    max_items: Mapped[int]  # of one run: what makes its sample comparable with others
    max_charge_micro_usd: Mapped[int] = mapped_column(BigInteger)  # of one run: what is reserved ahead
    state: Mapped[str] = mapped_column(String(16), default=SourceState.ACTIVE)
    held_at: Mapped[datetime | None]  # since when its runs feed no detection, because of an alarm
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class TrendRun(Base):
    """One run of an actor: the intent first, then what the vendor says of it, then what its dataset held.

    The job behind it is `jobs.subject_id = id`.
    """

    __tablename__ = "trend_runs"
    __table_args__ = (
        _known("state", RunState),
        _known("verdict", Verdict),
        CheckConstraint("(state = 'failed') = (error_code IS NOT NULL)", name="failed_has_code"),
        CheckConstraint("(state = 'collected') = (verdict IS NOT NULL)", name="collected_has_verdict"),
        CheckConstraint("NOT feeds OR verdict = 'sample'", name="only_samples_feed"),
        CheckConstraint("state NOT IN ('started', 'collecting') OR external_id IS NOT NULL", name="started_has_id"),
        UniqueConstraint("source_id", "slot"),
        Index("ix_trend_runs_live", "id", postgresql_where="state IN ('intended', 'started', 'collecting')"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)  # also our mark on the vendor's side
    source_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trend_sources.id", ondelete="CASCADE"))
    slot: Mapped[datetime]  # one run a source and slot, whoever asks for it how often
    state: Mapped[str] = mapped_column(String(16), default=RunState.INTENDED)
    actor: Mapped[str] = mapped_column(String(100))
    input: Mapped[dict[str, Any]]  # as sent
    build: Mapped[str | None] = mapped_column(String(32))  # asked for; once started: what ran
    max_items: Mapped[int]  # the cap that the sample was taken under
    max_charge_micro_usd: Mapped[int] = mapped_column(BigInteger)

    start_tries: Mapped[int] = mapped_column(default=0)
    start_tried_at: Mapped[datetime | None]  # when the last start was about to be sent
    external_id: Mapped[str | None] = mapped_column(String(64), unique=True)  # the vendor's run
    dataset_id: Mapped[str | None] = mapped_column(String(64))
    external_status: Mapped[str | None] = mapped_column(String(16))  # as last heard, from the vendor itself
    observed_at: Mapped[datetime | None]  # the vendor's start: when its metrics were true

    month: Mapped[date | None]  # whose money is reserved; None: nothing is
    cost_micro_usd: Mapped[int | None] = mapped_column(BigInteger)  # usageTotalUsd; None until settled
    cost_known: Mapped[bool | None]  # False: settled at the whole reservation, as nobody could tell

    dataset_offset: Mapped[int] = mapped_column(default=0)  # items before it are stored: the checkpoint
    dataset_total: Mapped[int | None]
    items: Mapped[int] = mapped_column(default=0)  # rows read
    posts: Mapped[int] = mapped_column(default=0)  # rows that were posts: the size of the sample
    posts_new: Mapped[int] = mapped_column(default=0)  # of these, never seen before
    quarantined: Mapped[int] = mapped_column(default=0)
    sentinels: Mapped[int] = mapped_column(default=0)  # rows that say there is no row
    nulls: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {field: posts without it}
    verdict: Mapped[str | None] = mapped_column(String(16))
    # Whether detection may count its posts: a whole, healthy sample of a source that was not held.
    feeds: Mapped[bool] = mapped_column(default=False)

    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]


class ApifyDispatch(Base):
    """The inbox of the vendor's webhooks: each dispatch once, however often it is delivered."""

    __tablename__ = "apify_dispatches"

    dispatch_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trend_runs.id", ondelete="CASCADE"), index=True)
    external_id: Mapped[str | None] = mapped_column(String(64))  # the run it claims to tell of: a hint, to be asked for
    event_type: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)


class TrendAlarm(Base):
    """What is wrong with a source, until somebody has looked: `huntaze doctor` and `huntaze sources alarms` show it."""

    __tablename__ = "trend_alarms"
    __table_args__ = (
        UniqueConstraint("run_id", "kind", "field", postgresql_nulls_not_distinct=True),
        Index("ix_trend_alarms_open", "id", postgresql_where="closed_at IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    source_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trend_sources.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trend_runs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))  # null_rate, quarantine, start_unclear
    field: Mapped[str | None] = mapped_column(String(32))  # of null_rate
    usual: Mapped[float | None]  # share, 0..1
    seen: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    closed_at: Mapped[datetime | None]
