"""A video that was asked for: content, task and job in one statement; and where a repeat of the request leads."""

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import job_enqueue, tally
from huntaze.models.base import new_id
from huntaze.models.job_args import VideoExtract
from huntaze.models.job_enqueue import KeyReused, NewJob
from huntaze.pipelines.errors import Permanent


@dataclass(frozen=True)
class Accepted:
    """What stands for a request, and for every repeat of it."""

    task_id: uuid.UUID
    content_id: uuid.UUID
    job_id: uuid.UUID


@dataclass(frozen=True)
class SeenObject:
    """What the store has under a key; `name` is what the creator calls it. `size` in bytes."""

    object_key: str
    name: str
    content_type: str
    size: int
    etag: str


@dataclass(frozen=True)
class WantedVideo:
    """An object that was seen in the store, and what to do with it: now, or at `run_at`."""

    seen: SeenObject
    cells: int | None
    run_at: datetime | None


_EARLIER = text("""
    SELECT job.id AS job_id, job.fingerprint, task.id AS task_id, task.content_id
    FROM jobs AS job
    LEFT JOIN content_tasks AS task ON task.id = job.subject_id AND task.creator_id = job.creator_id
    WHERE job.dedupe_key = :dedupe_key
""")


def find(session: Session, dedupe_key: str, fingerprint: str) -> Accepted | None:
    """What a request with this key has brought before; None if it is the first.

    Raises KeyReused if the request had another `fingerprint`, Permanent (`request.key_reused`) if its video is gone.
    """
    row = session.execute(_EARLIER, {"dedupe_key": dedupe_key}).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise KeyReused
    if row.task_id is None:
        raise _deleted()
    return Accepted(row.task_id, row.content_id, row.job_id)


def _deleted() -> Permanent:
    return Permanent("request.key_reused", "This Idempotency-Key belongs to a video that was deleted.")


# One statement, so that a request is one round trip. A content row that is locked by another request for the same
# object is waited for: both then see the same id. What the creator called the object stays as it is.
_ACCEPT = text(f"""
    WITH {job_enqueue.MADE}, confirmed AS (
        INSERT INTO content (id, creator_id, kind, name, object_key, content_type, size, etag)
        SELECT :content_id, creator_id, 'video', :name, :object_key, :content_type, :size, :etag FROM made
        ON CONFLICT (object_key) DO UPDATE SET size = excluded.size, etag = excluded.etag
            WHERE content.creator_id = excluded.creator_id
        RETURNING id
    ), task AS (
        INSERT INTO content_tasks (id, creator_id, content_id, job_id, status, progress)
        SELECT subject_id, creator_id, (SELECT id FROM confirmed), id, 'queued', 0 FROM made
        RETURNING id, content_id, job_id
    )
    SELECT task.id, task.content_id, task.job_id FROM task LEFT JOIN told ON true
""")  # noqa: S608 - of constants


def accept(
    session: Session, creator_id: uuid.UUID, video: WantedVideo, dedupe_key: str | None, fingerprint: str
) -> Accepted:
    """Writes all there is of a new request; of requests with the same key that come at once, one does."""
    task_id = new_id()
    job = NewJob(
        VideoExtract.model_validate({"task_id": task_id, "cells": video.cells}),
        creator_id=creator_id,
        subject_id=task_id,
        run_at=video.run_at,
        dedupe_key=dedupe_key,
        fingerprint=fingerprint,
    )
    rows = json.dumps(job_enqueue.rows_of(session, [job]), default=str)
    made = session.execute(_ACCEPT, {"rows": rows, "content_id": new_id(), **asdict(video.seen)}).one_or_none()
    if made is not None:
        tally.note(session, "enqueued", [job.args.kind])
        return Accepted(made.id, made.content_id, made.job_id)
    winner = find(session, dedupe_key or "", fingerprint)
    if winner is None:
        raise _deleted()
    return winner
