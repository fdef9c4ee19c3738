"""All SQL of uploads and their analyses."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.content import Content, ContentTask, TaskStatus
from huntaze.models.jobs import Job, JobState

# How much of a task's progress each of its jobs stands for: (start, width).
_SHARE = {"video.extract": (0.0, 0.6), "video.analyze": (0.6, 0.4)}


def get_task(session: Session, task_id: uuid.UUID, creator_id: uuid.UUID) -> tuple[ContentTask, Content] | None:
    """A task and its content, if they are this creator's."""
    query = select(ContentTask, Content).join(Content, Content.id == ContentTask.content_id)
    row = session.execute(query.where(ContentTask.id == task_id, ContentTask.creator_id == creator_id)).one_or_none()
    return None if row is None else (row[0], row[1])


def load_task(session: Session, task_id: uuid.UUID) -> tuple[ContentTask, Content]:
    """A task and its content for the job that works on it. Raises NoResultFound."""
    query = select(ContentTask, Content).join(Content, Content.id == ContentTask.content_id)
    row = session.execute(query.where(ContentTask.id == task_id)).one()
    return row[0], row[1]


_WHERE = text("SELECT id, object_key, name FROM content WHERE id = ANY(:ids) AND creator_id = :creator_id")


def find_contents(
    session: Session, creator_id: uuid.UUID, ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, tuple[str, str]]:
    """{id: (object key, name)} of those contents that are this creator's."""
    rows = session.execute(_WHERE, {"ids": list(ids), "creator_id": creator_id})
    return {row.id: (row.object_key, row.name) for row in rows}


def list_tasks(
    session: Session,
    creator_id: uuid.UUID,
    *,
    status: TaskStatus | None = None,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> list[tuple[ContentTask, Content]]:
    """The creator's tasks with their content, newest first, below the cursor `before`."""
    query = select(ContentTask, Content).join(Content, Content.id == ContentTask.content_id)
    query = query.where(ContentTask.creator_id == creator_id).order_by(ContentTask.id.desc()).limit(limit)
    if status is not None:
        query = query.where(ContentTask.status == status)
    if before is not None:
        query = query.where(ContentTask.id < before)
    return [(row[0], row[1]) for row in session.execute(query)]


@dataclass(frozen=True)
class Extracted:
    """What `video.extract` leaves behind, as JSON-ready values; the fields are columns of ContentTask
    and, for `size` and `etag`, of Content."""

    media: Mapping[str, Any]
    keyframes: list[dict[str, Any]]
    artifacts: Mapping[str, str]
    reading: Mapping[str, Any]
    size: int
    etag: str
    key: str | None = None  # equal for the same bytes, looked at in the same way


_EXTRACTED = text("""
    SELECT media, keyframes, artifacts, reading FROM content_tasks
    WHERE content_id = :content_id AND extract_key = :key AND artifacts IS NOT NULL ORDER BY id LIMIT 1
""")


def find_extraction(session: Session, content_id: uuid.UUID, key: str, size: int, etag: str) -> Extracted | None:
    """What an earlier task took out of the same bytes of this content, in the same way; `key` is of size and etag."""
    row = session.execute(_EXTRACTED, {"content_id": content_id, "key": key}).one_or_none()
    return None if row is None else Extracted(**row._mapping, size=size, etag=etag, key=key)


def save_extraction(session: Session, task_id: uuid.UUID, extracted: Extracted) -> ContentTask:
    """Stores facts, times and artifact keys of the frames, and which version of the object they are of."""
    task = session.get_one(ContentTask, task_id, with_for_update=True)
    content = session.get_one(Content, task.content_id, with_for_update=True)
    content.size, content.etag = extracted.size, extracted.etag
    task.status = TaskStatus.PROCESSING
    task.media, task.keyframes = dict(extracted.media), extracted.keyframes
    task.artifacts, task.reading = dict(extracted.artifacts), dict(extracted.reading)
    task.extract_key = extracted.key
    task.progress = _SHARE["video.analyze"][0]
    return task


@dataclass(frozen=True)
class Analysed:
    """An analysis that is there, and what it took."""

    task_id: uuid.UUID
    analysis: dict[str, Any]
    usage: dict[str, Any]


# The first of its key: the one that was paid for.
_ANALYSED = text("""
    SELECT id, analysis, usage FROM content_tasks
    WHERE creator_id = :creator_id AND analysis_key = :key AND status = 'succeeded' ORDER BY id LIMIT 1
""")


def find_analysis(session: Session, creator_id: uuid.UUID, key: str) -> Analysed | None:
    """What this creator was told when the same was asked before. Another creator's answers are never looked at."""
    row = session.execute(_ANALYSED, {"creator_id": creator_id, "key": key}).one_or_none()
    return None if row is None else Analysed(row.id, row.analysis, row.usage)


def save_analysis(
    session: Session,
    task_id: uuid.UUID,
    analysis: Mapping[str, Any],
    usage: Mapping[str, Any],
    key: str | None = None,
) -> None:
    """Stores the report and what it cost, and tells the creator. `key`: of the question, to find the answer again."""
    task = session.get_one(ContentTask, task_id, with_for_update=True)
    task.status, task.progress = TaskStatus.SUCCEEDED, 1.0
    task.analysis, task.usage, task.analysis_key = dict(analysis), dict(usage), key
    task.error_code = task.error_message = None
    session.flush()
    data = {"video_id": str(task.id), "content_id": str(task.content_id), "summary": analysis.get("summary")}
    event_store.emit(session, task.creator_id, "video.analyzed", task.id, data)


def follow_job(session: Session, job: Job) -> None:
    """Keeps the creator's view in step with its job: progress, failure, cancellation, replay."""
    if job.subject_id is None:
        return
    task = session.get(ContentTask, job.subject_id, with_for_update=True)
    if task is None or task.status == TaskStatus.SUCCEEDED:
        return
    task.job_id = job.id
    task.error_code = task.error_message = None
    start, width = _SHARE[job.kind]
    task.progress = start + width * job.progress
    if job.state == JobState.FAILED:
        task.status, task.error_code, task.error_message = TaskStatus.FAILED, job.error_code, job.error_message
        data = {"video_id": str(task.id), "error": {"code": job.error_code, "message": job.error_message}}
        event_store.emit(session, task.creator_id, "video.failed", task.id, data)
    elif job.state == JobState.CANCELLED:
        task.status = TaskStatus.CANCELLED
    else:
        begun = job.state == JobState.RUNNING or task.media is not None
        task.status = TaskStatus.PROCESSING if begun else TaskStatus.QUEUED
    session.flush()
