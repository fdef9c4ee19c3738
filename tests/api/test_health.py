"""What operators ask, with the stores there and away."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from huntaze.api.app import build_app
from huntaze.api.services import LOOK_UPS
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import flow_store, job_claim, job_dispatch, job_enqueue
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Turns
from huntaze.models.users import User
from huntaze.settings import Settings
from tests.api.conftest import Connect, Serve
from tests.api.video_requests import uploaded


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def pointed(settings: Settings, group: str, **changes: Any) -> Settings:
    return settings.model_copy(update={group: getattr(settings, group).model_copy(update=changes)})


def without_redis(settings: Settings, port: int) -> Settings:
    return pointed(settings, "redis", url=SecretStr(f"redis://127.0.0.1:{port}/0"))


def without_database(settings: Settings, port: int) -> Settings:
    return pointed(settings, "database", url=SecretStr(f"postgresql://x:secret@127.0.0.1:{port}/x"))


def without_s3(settings: Settings, port: int) -> Settings:
    return pointed(settings, "s3", endpoint_url=f"http://127.0.0.1:{port}")


def test_all_is_well(connect: Connect, engine: object) -> None:
    client = connect()
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["stores"] == {"postgresql": "ok", "s3": "ok", "redis": "ok"}


def test_without_redis_rows_wait(
    serve: Serve,
    settings: Settings,
    dead_port: int,
    objects: S3ObjectStore,
    creator: User,
    make_key: Callable[..., str],
) -> None:
    headers = {"Authorization": f"Bearer {make_key(creator)}"}
    with (
        serve(build_app(without_redis(settings, dead_port))) as url,
        httpx.Client(base_url=url, headers=headers, timeout=10) as client,
    ):
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["stores"] == {"postgresql": "ok", "s3": "ok", "redis": "unreachable"}
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/videos", json={"content_id": uploaded(client, objects)}).status_code == 202


def test_without_the_database(serve: Serve, settings: Settings, dead_port: int, objects: S3ObjectStore) -> None:
    headers = {"Authorization": "Bearer hz_00000000_any"}
    app = build_app(without_database(settings, dead_port))
    with serve(app) as url, httpx.Client(base_url=url, headers=headers, timeout=10) as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["stores"]["postgresql"]) == (503, "unreachable")
        for path in ("/v1/jobs", "/v1/events"):
            away = client.get(path)
            assert (away.status_code, away.json()["code"]) == (503, "database.unavailable")
            assert int(away.headers["retry-after"]) > 0
            assert "127.0.0.1" not in away.text
        figures = client.get("/metrics").text
        assert "huntaze_database_up 0.0" in figures
        assert "huntaze_jobs{" not in figures, "no figure is better than a made-up one"


def test_without_the_object_store(
    serve: Serve, settings: Settings, dead_port: int, creator: User, make_key: Callable[..., str], sessions: Sessions
) -> None:
    headers = {"Authorization": f"Bearer {make_key(creator)}", "Idempotency-Key": "k"}
    app = build_app(without_s3(settings, dead_port))
    with serve(app) as url, httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        assert client.get("/readyz").json()["status"] == "unavailable"
        upload = client.post("/v1/uploads", json={"name": "a", "size": 1, "type": "video/mp4"}).json()
        away = client.post("/v1/videos", json={"content_id": upload["content_id"]})
        assert (away.status_code, away.json()["code"]) == (503, "storage.unavailable")
        assert int(away.headers["retry-after"]) > 0
        assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_missing_bucket_is_not_the_clients_business(
    serve: Serve, settings: Settings, creator: User, make_key: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {make_key(creator)}"}
    app = build_app(pointed(settings, "s3", access_key_id="WRONG"))
    with serve(app) as url, httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        assert client.get("/readyz").json()["stores"]["s3"] == "unreachable"
        upload = client.post("/v1/uploads", json={"name": "a", "size": 1, "type": "video/mp4"}).json()
        refused = client.post("/v1/videos", json={"content_id": upload["content_id"]})
        assert (refused.status_code, refused.json()["code"]) in [(503, "storage.unavailable"), (503, "storage.denied")]
        assert settings.s3.bucket not in refused.text


def test_a_store_that_hangs_does_not_hang_the_probe(
    serve: Serve, settings: Settings, silent_port: int, engine: object
) -> None:
    app = build_app(without_redis(settings, silent_port))
    with serve(app) as url, httpx.Client(base_url=url, timeout=10) as client:
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["stores"]["redis"]) == (200, "unreachable")
    assert ready.elapsed.total_seconds() < 4


def test_an_object_store_that_hangs_does_not_hang_the_rest(
    serve: Serve, settings: Settings, silent_port: int, creator: User, make_key: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {make_key(creator)}"}
    body = {"object_key": f"creators/{creator.id}/imports/a.mp4"}
    app = build_app(without_s3(settings, silent_port))
    with (
        serve(app) as url,
        httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(60) as pool,
    ):
        begun = time.monotonic()
        posts = [pool.submit(client.post, "/v1/videos", json=body) for _ in range(60)]
        wait(posts, timeout=2, return_when=FIRST_COMPLETED)  # the first that is refused: all places are taken
        jobs = client.get("/v1/jobs", timeout=2)
        assert jobs.status_code == 200
        answers = [post.result() for post in posts]
        assert time.monotonic() - begun < 10, "asked once, and not for long"
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "storage.unavailable")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert len([answer for answer in answers if "Too many" in answer.json()["detail"]]) == 60 - LOOK_UPS
        assert "Too many" not in client.post("/v1/videos", json=body).json()["detail"], "the places are free again"


def samples(exposition: str) -> dict[str, float]:
    lines = [line for line in exposition.splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_requests_are_counted_by_template(connect: Connect, api: httpx.Client) -> None:
    counted = 'huntaze_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}'
    before = samples(connect().get("/metrics").text).get(counted, 0)
    for number in range(3):
        api.get(f"/v1/jobs/01980a52-03c7-7d02-a1b5-52d1c0e8f3a{number}")
        api.get(f"/random/{number}")
        api.request(f"X{number}", "/v1/jobs")
    exposition = connect().get("/metrics").text
    after = samples(exposition)
    assert after[counted] == before + 3
    assert after['huntaze_http_request_seconds_count{method="GET",route="/v1/jobs/{job_id}"}'] >= 3
    assert "random" not in exposition
    assert 'method="X1"' not in exposition, "callers cannot make up labels"


def test_the_backlog_is_read_at_each_scrape(connect: Connect, creator: User, sessions: Sessions) -> None:
    def scraped() -> dict[str, float]:
        return samples(connect().get("/metrics").text)

    empty = scraped()
    assert empty["huntaze_database_up"] == 1
    assert empty['huntaze_jobs{queue="video",state="waiting"}'] == 0
    assert empty['huntaze_queue_latency_seconds{queue="default"}'] == 0
    with sessions.begin() as session:
        ids = [job_enqueue.enqueue(session, Noop(), creator_id=creator.id).job.id for _ in range(3)]
        session.execute(text("UPDATE jobs SET run_at = now() - interval '60 s' WHERE id = :id"), {"id": ids[0]})
        session.execute(text("UPDATE jobs SET run_at = now() + interval '1 h' WHERE id = :id"), {"id": ids[2]})
    waiting = scraped()
    assert waiting['huntaze_jobs{queue="default",state="waiting"}'] == 3
    assert 60 <= waiting['huntaze_queue_latency_seconds{queue="default"}'] < 90
    assert waiting['huntaze_queue_unsent_seconds{queue="default"}'] >= 60
    for scope, name in (("queue", "default"), ("kind", "noop")):
        with sessions.begin() as session:
            flow_store.pause(session, scope, name)
        assert scraped()['huntaze_queue_latency_seconds{queue="default"}'] == 0, "more workers would not help"
        with sessions.begin() as session:
            flow_store.resume(session, scope, name)
    with sessions.begin() as session:
        job_dispatch.take_due(session, "default", 1, {"noop": 1}, Turns())
    queued = scraped()
    assert queued['huntaze_jobs{queue="default",state="queued"}'] == 1
    assert queued['huntaze_queue_latency_seconds{queue="default"}'] >= 60, "it has not started yet"
    assert queued['huntaze_queue_unsent_seconds{queue="default"}'] < 30
    assert queued['huntaze_queue_depth{queue="default"}'] >= 2
    with sessions.begin() as session:
        assert job_claim.claim(session, ids[0], "a/1", 30) is not None
    running = scraped()
    assert running['huntaze_jobs{queue="default",state="running"}'] == 1
    assert 0 <= running['huntaze_queue_latency_seconds{queue="default"}'] < 30
