"""Videos that are asked for at a later time."""

from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from huntaze.clients.s3 import S3ObjectStore
from tests.api.video_requests import uploaded


def test_a_video_for_tomorrow(api: httpx.Client, objects: S3ObjectStore) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    body = {"content_id": uploaded(api, objects), "run_at": tomorrow.isoformat()}
    answer = api.post("/v1/videos", json=body, headers={"Idempotency-Key": "k"})
    job = api.get(f"/v1/jobs/{answer.json()['job_id']}").json()
    assert datetime.fromisoformat(job["run_at"]) == tomorrow
    assert job["state"] == "waiting"
    elsewhere = body | {"run_at": tomorrow.astimezone(timezone(timedelta(hours=9))).isoformat()}
    repeat = api.post("/v1/videos", json=elsewhere, headers={"Idempotency-Key": "k"})
    assert repeat.json() == answer.json(), "the same moment, said in another zone"
    another = api.post("/v1/videos", json=body | {"run_at": None}, headers={"Idempotency-Key": "k"})
    assert another.json()["code"] == "request.key_reused"


@pytest.mark.parametrize("past", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
def test_a_past_time_is_now(api: httpx.Client, objects: S3ObjectStore, past: str) -> None:
    answer = api.post("/v1/videos", json={"content_id": uploaded(api, objects), "run_at": past}).json()
    job = api.get(f"/v1/jobs/{answer['job_id']}").json()
    assert job["run_at"] == job["created_at"]


@pytest.mark.parametrize("days", [90.001, 36_500])
def test_a_time_too_far_ahead_is_refused(api: httpx.Client, objects: S3ObjectStore, days: float) -> None:
    body = {"content_id": uploaded(api, objects), "run_at": (datetime.now(UTC) + timedelta(days=days)).isoformat()}
    refused = api.post("/v1/videos", json=body).json()
    assert refused["errors"] == [{"field": "run_at", "message": "Expected a time within 90 days from now"}]


@pytest.mark.parametrize("given", ["2026-12-01T10:00:00", "9999-12-31T23:59:59-23:59", "tomorrow", 0, "0", 1e9])
def test_a_time_that_is_none_is_refused(api: httpx.Client, objects: S3ObjectStore, given: object) -> None:
    body = {"content_id": uploaded(api, objects), "run_at": given}
    refused = api.post("/v1/videos", json=body).json()
    assert [error["field"] for error in refused["errors"]] == ["run_at"]
