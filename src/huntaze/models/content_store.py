"""All SQL of uploads and their analyses."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from huntaze.models import event_store
from huntaze.models.base import new_id
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


# A content row that is locked by another request for the same object is waited for: both then see the same id.
_ADD_TASK = text("""
    WITH confirmed AS (
        INSERT INTO content (id, creator_id, kind, name, object_key, content_type, size, etag)
        VALUES (:new_id, :creator_id, 'video', :name, :object_key, :content_type, :size, :etag)
        ON CONFLICT (object_key) DO UPDATE SET size = excluded.size, etag = excluded.etag
            WHERE content.creator_id = excluded.creator_id
        RETURNING id
    )
    INSERT INTO content_tasks (id, creator_id, content_id, job_id, status, progress)
    SELECT :task_id, :creator_id, id, :job_id, 'queued', 0 FROM confirmed
    RETURNING content_id
""")


def add_task(
    session: Session,
    creator_id: uuid.UUID,
    *,
    task_id: uuid.UUID,
    job_id: uuid.UUID,
    object_key: str,
    name: str,
    content_type: str,
    size: int,
    etag: str,
) -> uuid.UUID:
    """A task on an object that was seen in the store; returns its content's id.

    The content is made if the object came there by other means than an upload. `size` (bytes) and `etag` are the
    store's; what the creator called it stays as it is.
    """
    given = {
        "new_id": new_id(),
        "creator_id": creator_id,
        "task_id": task_id,
        "job_id": job_id,
        "object_key": object_key,
        "name": name,
        "content_type": content_type,
        "size": size,
        "etag": etag,
    }
    content_id: uuid.UUID = session.execute(_ADD_TASK, given).scalar_one()
    return content_id


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
    reading: Mapping[str, int]
    size: int
    etag: str


def save_extraction(session: Session, task_id: uuid.UUID, extracted: Extracted) -> ContentTask:
    """Stores facts, times and artifact keys of the frames, and which version of the object they are of."""
    task = session.get_one(ContentTask, task_id, with_for_update=True)
    content = session.get_one(Content, task.content_id, with_for_update=True)
    content.size, content.etag = extracted.size, extracted.etag
    task.status = TaskStatus.PROCESSING
    task.media, task.keyframes = dict(extracted.media), extracted.keyframes
    task.artifacts, task.reading = dict(extracted.artifacts), dict(extracted.reading)
    task.progress = _SHARE["video.analyze"][0]
    return task


def save_analysis(session: Session, task_id: uuid.UUID, analysis: Mapping[str, Any], usage: Mapping[str, Any]) -> None:
    """Stores the report and what it cost, and tells the creator."""
    task = session.get_one(ContentTask, task_id, with_for_update=True)
    task.status, task.progress = TaskStatus.SUCCEEDED, 1.0
    task.analysis, task.usage = dict(analysis), dict(usage)
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
