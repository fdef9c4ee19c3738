"""Jobs: listed, shown without tracebacks, cancelled, tried again."""

import uuid
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import job_claim, job_dispatch, job_enqueue, job_settle
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop, VideoExtract
from huntaze.models.job_dispatch import Turns
from huntaze.models.job_settle import AttemptEnd
from huntaze.models.jobs import Job
from huntaze.models.users import User
from tests.api.video_requests import accepted

BROKEN = AttemptEnd(
    stages=[{"name": "look", "seconds": 0.25}],
    error_code="media.no_video",
    error_message="The file has no video stream.",
    trace="Traceback (most recent call last): secret",
)


def enqueued(sessions: Sessions, creator: User, count: int = 1) -> list[str]:
    with sessions.begin() as session:
        return [str(job_enqueue.enqueue(session, Noop(), creator_id=creator.id).job.id) for _ in range(count)]


def claimed(sessions: Sessions, job_id: str, queue: str = "default") -> Job:
    with sessions.begin() as session:
        job_dispatch.take_due(session, queue, 100, {"noop": 1, "video.extract": VideoExtract.version}, Turns())
        job = job_claim.claim(session, uuid.UUID(job_id), "a/1", 30, VideoExtract.version)
    assert job is not None
    return job


def fail(sessions: Sessions, job_id: str, queue: str = "default") -> None:
    attempt = claimed(sessions, job_id, queue).attempt
    with sessions.begin() as session:
        job_settle.fail(session, uuid.UUID(job_id), attempt, BROKEN)


def test_the_list_is_filtered_and_walked(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    ids = enqueued(sessions, creator, 5)
    fail(sessions, ids[0])

    def listed(**params: object) -> list[str]:
        return [job["id"] for job in api.get("/v1/jobs", params=params).json()["jobs"]]  # type: ignore[arg-type]

    assert listed() == ids[::-1]
    assert listed(state="failed") == listed(error_code="media.no_video") == ids[:1]
    assert listed(state="failed", error_code="crashed") == listed(kind="video.extract") == []
    assert listed(kind="noop", state="queued") == ids[:0:-1]
    page = api.get("/v1/jobs", params={"limit": 3}).json()
    rest = api.get("/v1/jobs", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    assert [job["id"] for job in page["jobs"] + rest["jobs"]] == ids[::-1]
    assert rest["next_cursor"] is None


def test_the_list_is_cut_by_time(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    ids = enqueued(sessions, creator, 3)
    moments = [api.get(f"/v1/jobs/{id}").json()["created_at"] for id in ids]

    def listed(**params: str) -> list[str]:
        response = api.get("/v1/jobs", params=params)
        assert response.status_code == 200, response.text
        return [job["id"] for job in response.json()["jobs"]]

    middle = datetime.fromisoformat(moments[1]).astimezone(timezone(timedelta(hours=5))).isoformat()
    assert listed(created_after=middle) == [id for id, at in zip(ids, moments, strict=True) if at >= moments[1]][::-1]
    assert listed(created_before=middle) == [id for id, at in zip(ids, moments, strict=True) if at < moments[1]][::-1]
    assert listed(created_after=moments[0], created_before="9999-12-31T23:59:59-14:00") == ids[::-1]
    assert listed(created_before="0001-01-01T00:00:00+14:00") == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"state": "resting"}, "state"),
        ({"kind": "a\x00"}, "kind"),
        ({"error_code": "x" * 65}, "error_code"),
        ({"created_after": "2026-03-01T10:00:00"}, "created_after"),
        ({"created_before": "yesterday"}, "created_before"),
    ],
)
def test_a_mistake_is_named(api: httpx.Client, params: dict[str, str], field: str) -> None:
    response = api.get("/v1/jobs", params=params)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_a_job_shows_its_attempts_but_no_traceback(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    (job_id,) = enqueued(sessions, creator)
    fail(sessions, job_id)
    response = api.get(f"/v1/jobs/{job_id}")
    job = response.json()
    assert (job["state"], job["attempt"], job["kind"]) == ("failed", 1, "noop")
    assert job["error"] == {"code": "media.no_video", "message": "The file has no video stream."}
    (attempt,) = job["attempts"]
    assert (attempt["outcome"], attempt["error_code"]) == ("failed", "media.no_video")
    assert attempt["stages"] == [{"name": "look", "seconds": 0.25}]
    assert attempt["ended_at"] > attempt["started_at"]
    assert "Traceback" not in response.text
    assert "a/1" not in response.text, "nor which machine it was"


def test_cancel_at_once_and_twice(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    answer = accepted(api, objects)
    for _ in range(2):
        response = api.post(f"/v1/jobs/{answer['job_id']}/cancel")
        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert api.get(answer["url"]).json()["status"] == "cancelled"


def test_a_running_job_is_asked_to_stop(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    (job_id,) = enqueued(sessions, creator)
    claimed(sessions, job_id)
    job = api.post(f"/v1/jobs/{job_id}/cancel").json()
    assert (job["state"], job["cancel_requested"]) == ("running", True)


def test_a_failed_video_is_tried_again(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    answer = accepted(api, objects)
    fail(sessions, answer["job_id"], "video")
    video = api.get(answer["url"]).json()
    assert (video["status"], video["error"]["code"]) == ("failed", "media.no_video")
    job = api.post(f"/v1/jobs/{answer['job_id']}/retry")
    assert (job.status_code, job.json()["state"], job.json()["error"]) == (200, "waiting", None)
    video = api.get(answer["url"]).json()
    assert (video["status"], video["error"]) == ("queued", None)


def test_only_a_failed_job_is_tried_again(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    (job_id,) = enqueued(sessions, creator)
    response = api.post(f"/v1/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "job.not_failed")
    assert api.get(f"/v1/jobs/{job_id}").json()["state"] == "waiting"
