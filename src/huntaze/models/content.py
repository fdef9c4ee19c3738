"""What creators uploaded, and their view of what the fleet made of it."""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from huntaze.models.base import Base, new_id


class Content(Base):
    """An object in the store: promised by an upload, confirmed when a video is made of it."""

    __tablename__ = "content"
    __table_args__ = (
        CheckConstraint("size > 0", name="size_positive"),
        Index(None, "creator_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(255))  # as the creator called it; never part of a path
    object_key: Mapped[str] = mapped_column(String(512), unique=True)
    content_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)  # bytes, as signed into the upload URL
    etag: Mapped[str | None] = mapped_column(String(128))  # None until the object was seen in the store
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TaskStatus(enum.StrEnum):
    """A creator's words for where the analysis stands; the jobs behind it have their own states."""

    QUEUED = "queued"  # nothing has been looked at yet
    PROCESSING = "processing"  # frames are out, or being taken out
    SUCCEEDED = "succeeded"  # the analysis is there
    FAILED = "failed"  # error_code and error_message say why; the job can be retried
    CANCELLED = "cancelled"  # the creator asked for it


class ContentTask(Base):
    """One analysis of one content: what `GET /v1/videos/{id}` shows."""

    __tablename__ = "content_tasks"
    __table_args__ = (
        CheckConstraint(f"status IN ({', '.join(repr(s.value) for s in TaskStatus)})", name="status_known"),
        CheckConstraint("progress BETWEEN 0 AND 1", name="progress_fraction"),
        CheckConstraint("status <> 'succeeded' OR analysis IS NOT NULL", name="succeeded_has_analysis"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="failed_has_code"),
        Index(None, "creator_id", "id"),
        Index(None, "creator_id", "analysis_key", postgresql_where=text("analysis_key IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    creator_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    content_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("content.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[uuid.UUID | None]  # the job at work on it now; no foreign key, jobs are retired by age
    status: Mapped[str] = mapped_column(String(16), default=TaskStatus.QUEUED)
    progress: Mapped[float] = mapped_column(default=0.0)  # 0..1 over both jobs
    media: Mapped[dict[str, Any] | None]  # facts: container, codec, width, height, duration_s, ...
    keyframes: Mapped[list[dict[str, Any]] | None]  # [{cell, time_s}], in the grid's order
    artifacts: Mapped[dict[str, Any] | None]  # {grid, poster, poster_webp, preview, storyboard, ...}: object keys
    reading: Mapped[dict[str, Any] | None]  # {bytes, requests, size, way, reason, looked_at}
    analysis: Mapped[dict[str, Any] | None]
    usage: Mapped[dict[str, Any] | None]  # {model, sandbox, calls, input_tokens, output_tokens, cost_micro_usd, ...}
    extract_key: Mapped[str | None] = mapped_column(String(64))  # of the bytes and the way of looking that made this
    analysis_key: Mapped[str | None] = mapped_column(String(64))  # of the question that `analysis` answers
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
