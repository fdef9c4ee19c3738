"""Uploaded files and rows that several tests here start from."""

import uuid
from typing import Any

import httpx

from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import content_store
from huntaze.models.content_store import Extracted
from huntaze.models.database import Sessions

FILE = b"not really a video"


def uploaded(api: httpx.Client, objects: S3ObjectStore, body: bytes = FILE) -> str:
    """The content id of a file that is there."""
    upload = api.post("/v1/uploads", json={"name": "beach.mp4", "size": len(body), "type": "video/mp4"}).json()
    objects.put(upload["object_key"], body, "video/mp4")
    return str(upload["content_id"])


def accepted(api: httpx.Client, objects: S3ObjectStore, **body: Any) -> dict[str, str]:
    """An accepted video."""
    response = api.post("/v1/videos", json={"content_id": uploaded(api, objects)} | body)
    assert response.status_code == 202, response.text
    answer: dict[str, str] = response.json()
    return answer


def analysed(sessions: Sessions, video_id: str, creator_id: uuid.UUID) -> None:
    """Gives the video what the two jobs leave behind."""
    task_id = uuid.UUID(video_id)
    names = ("grid", "poster", "poster_webp", "preview", "storyboard", "storyboard_vtt")
    extracted = Extracted(
        media={"container": "mp4", "width": 640, "height": 360, "duration_s": 4.0},
        keyframes=[{"cell": 1, "time_s": 0.0}, {"cell": 2, "time_s": 2.0}],
        artifacts={name: f"creators/{creator_id}/artifacts/{name}" for name in names},
        reading={"bytes": 10, "requests": 2, "size": 18},
        size=len(FILE),
        etag="0",
    )
    usage = {"model": "m", "sandbox": True, "input_tokens": 3, "output_tokens": 4, "cost_micro_usd": 5}
    with sessions.begin() as session:
        content_store.save_extraction(session, task_id, extracted)
        content_store.save_analysis(session, task_id, {"summary": "A beach."}, usage)
