"""A video that was asked for: content, task and job in one transaction; and where a repeat of the request leads."""

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import content_store, job_enqueue
from huntaze.models.base import new_id
from huntaze.models.job_args import VideoExtract
from huntaze.models.job_enqueue import KeyReused
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
    cells: int
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


def accept(
    session: Session, creator_id: uuid.UUID, video: WantedVideo, dedupe_key: str | None, fingerprint: str
) -> Accepted:
    """Writes all there is of a new request; of requests with the same key that come at once, one does."""
    task_id = new_id()
    enqueued = job_enqueue.enqueue(
        session,
        VideoExtract.model_validate({"task_id": task_id, "cells": video.cells}),
        creator_id=creator_id,
        subject_id=task_id,
        run_at=video.run_at,
        dedupe_key=dedupe_key,
        fingerprint=fingerprint,
    )
    if not enqueued.created:
        winner = find(session, dedupe_key or "", fingerprint)
        if winner is None:
            raise _deleted()
        return winner
    content_id = content_store.add_task(
        session,
        creator_id,
        task_id=task_id,
        job_id=enqueued.job.id,
        **asdict(video.seen),
    )
    return Accepted(task_id, content_id, enqueued.job.id)
