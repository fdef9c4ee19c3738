"""Many videos that were asked for together: contents, tasks, jobs and their batch in one transaction."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import text
from sqlalchemy.orm import Session

from huntaze.models import batch_store
from huntaze.models.base import new_id
from huntaze.models.batches import Batch
from huntaze.models.job_args import VideoExtract
from huntaze.models.job_enqueue import NewJob
from huntaze.models.video_requests import Accepted, WantedVideo

# The contents in the order of their keys, so that two batches with objects in common wait for one another in the same
# order. An object that is named twice has one content, and a task for each.
_ADD_TASKS = text("""
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS given (
            new_id uuid, task_id uuid, job_id uuid, object_key text, name text, content_type text, size bigint,
            etag text
        )
    ), confirmed AS (
        INSERT INTO content (id, creator_id, kind, name, object_key, content_type, size, etag)
        SELECT DISTINCT ON (object_key)
               new_id, cast(:creator_id AS uuid), 'video', name, object_key, content_type, size, etag
        FROM given ORDER BY object_key, new_id
        ON CONFLICT (object_key) DO UPDATE SET size = excluded.size, etag = excluded.etag
            WHERE content.creator_id = excluded.creator_id
        RETURNING id, object_key
    )
    INSERT INTO content_tasks (id, creator_id, content_id, job_id, status, progress)
    SELECT task_id, :creator_id, confirmed.id, job_id, 'queued', 0
    FROM given JOIN confirmed ON confirmed.object_key = given.object_key
    RETURNING id, content_id
""")


def accept(
    session: Session,
    creator_id: uuid.UUID,
    videos: Sequence[WantedVideo],
    *,
    name: str | None = None,
    dedupe_key: str | None = None,
    fingerprint: str | None = None,
) -> tuple[Batch, list[Accepted]]:
    """Writes all there is of a new request and answers in its order; of requests with the same key one does.

    Raises KeyReused if the key came with another `fingerprint`.
    """
    tasks = [new_id() for _ in videos]
    jobs = [
        NewJob(
            VideoExtract.model_validate({"task_id": task_id, "cells": video.cells}),
            creator_id=creator_id,
            subject_id=task_id,
            run_at=video.run_at,
        )
        for task_id, video in zip(tasks, videos, strict=True)
    ]
    created = batch_store.create(
        session, jobs, creator_id=creator_id, name=name, dedupe_key=dedupe_key, fingerprint=fingerprint
    )
    if not created.created:
        return created.batch, accepted(session, created.batch.id)
    rows = [
        {"new_id": new_id(), "task_id": task_id, "job_id": enqueued.job.id, **asdict(video.seen)}
        for task_id, enqueued, video in zip(tasks, created.jobs, videos, strict=True)
    ]
    given = {"rows": json.dumps(rows, default=str), "creator_id": creator_id}
    contents = {row.id: row.content_id for row in session.execute(_ADD_TASKS, given)}
    return created.batch, [Accepted(row["task_id"], contents[row["task_id"]], row["job_id"]) for row in rows]


_ACCEPTED = text("""
    SELECT task.id, task.content_id, job.id AS job_id
    FROM jobs AS job JOIN content_tasks AS task ON task.id = job.subject_id
    WHERE job.batch_id = :batch_id AND job.parent_id IS NULL
    ORDER BY job.id
""")


def accepted(session: Session, batch_id: uuid.UUID) -> list[Accepted]:
    """What the request of this batch was answered, without what has been deleted since."""
    rows = session.execute(_ACCEPTED, {"batch_id": batch_id})
    return [Accepted(row.id, row.content_id, row.job_id) for row in rows]
