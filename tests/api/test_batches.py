"""Batches: all or nothing, once, and nobody else's."""

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import Engine, func, select, text, update

from huntaze.api.auth import Caller
from huntaze.api.edge import LARGER_BODIES
from huntaze.api.problems import ProblemError
from huntaze.api.routes.batches import accept_batch
from huntaze.api.schemas.batches import BatchRequest
from huntaze.api.services import LOOK_UPS, Services
from huntaze.api.video_sources import LOOKING, Source, look_all
from huntaze.clients.object_store import MemoryObjectStore, ObjectInfo, StorageAway
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import batch_store, event_store
from huntaze.models.batches import Batch
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions, build_sessions
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.settings import Settings
from tests.api.video_requests import FILE, uploaded

Body = dict[str, Any]


def put(objects: S3ObjectStore, creator: User, count: int) -> list[str]:
    keys = [f"creators/{creator.id}/imports/{number}.mp4" for number in range(count)]
    for key in keys:
        objects.put(key, FILE, "video/mp4")
    return keys


def by_key(keys: Sequence[str], **body: Any) -> Body:
    return {"videos": [{"object_key": key} for key in keys], **body}


def counts(sessions: Sessions) -> tuple[int, ...]:
    """Batches, contents, tasks, jobs."""
    with sessions() as session:
        tables = (Batch, Content, ContentTask, Job)
        return tuple(session.scalars(select(func.count()).select_from(table)).one() for table in tables)


def end_all(sessions: Sessions, state: JobState = JobState.SUCCEEDED) -> None:
    with sessions.begin() as session:
        code = "x.broken" if state == JobState.FAILED else None
        values = {"state": state, "finished_at": func.clock_timestamp(), "error_code": code}
        session.execute(update(Job).where(Job.finished_at.is_(None)).values(values))


def test_many_at_once(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    content_id = uploaded(api, objects)
    keys = put(objects, creator, 2)
    videos = [
        {"object_key": keys[1], "cells": 4},
        {"content_id": content_id},
        {"object_key": keys[0], "run_at": later.isoformat()},
    ]
    response = api.post("/v1/batches", json={"name": " summer ", "videos": videos})
    assert response.status_code == 202, response.text
    answer = response.json()
    assert response.headers["location"] == answer["url"] == f"/v1/batches/{answer['id']}"
    assert counts(sessions) == (1, 3, 3, 3)
    seen = []
    for video in answer["videos"]:
        with sessions() as session:
            job = session.get_one(Job, uuid.UUID(video["job_id"]))
            task = session.get_one(ContentTask, uuid.UUID(video["id"]))
            content = session.get_one(Content, uuid.UUID(video["content_id"]))
        assert (job.subject_id, task.job_id, task.content_id) == (task.id, job.id, content.id)
        assert {job.creator_id, task.creator_id, content.creator_id} == {creator.id}
        assert str(job.batch_id) == answer["id"]
        assert (content.size, content.etag) == (len(FILE), objects.head(content.object_key).etag)
        assert api.get(video["url"]).json()["status"] == "queued"
        seen.append((content.name, job.args["cells"], job.ready))
    in_order = [("1.mp4", 4, True), ("beach.mp4", None, True), ("0.mp4", None, False)]
    assert seen == in_order
    assert job.run_at == later
    shown = api.get(answer["url"]).json()
    assert (shown["name"], shown["total"], shown["progress"], shown["ended_at"]) == ("summer", 3, 0.0, None)
    assert shown["counts"] == dict.fromkeys(JobState, 0) | {"waiting": 3}


def test_one_object_three_times_is_three_videos(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    content_id = uploaded(api, objects)
    with sessions() as session:
        key = session.get_one(Content, uuid.UUID(content_id)).object_key
    videos = [{"object_key": key}, {"content_id": content_id, "cells": 16}, {"object_key": key}]
    answer = api.post("/v1/batches", json={"videos": videos}).json()
    assert len({video["id"] for video in answer["videos"]}) == len({video["job_id"] for video in answer["videos"]}) == 3
    assert {video["content_id"] for video in answer["videos"]} == {content_id}
    assert counts(sessions) == (1, 1, 3, 3)


def test_a_repeat_gets_the_same_answer(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 20)
    body, key = by_key(keys), {"Idempotency-Key": "k"}
    first = api.post("/v1/batches", json=body, headers=key)
    explicit = {"name": None, "videos": [video | {"cells": None, "run_at": None} for video in body["videos"]]}
    repeat = api.post("/v1/batches", json=explicit, headers=key)
    assert (repeat.status_code, repeat.json()) == (202, first.json())
    assert repeat.headers["location"] == first.headers["location"]
    another = api.post("/v1/batches", json=by_key(keys[::-1]), headers=key)
    assert (another.status_code, another.json()["code"]) == (409, "request.key_reused")
    single = api.post("/v1/videos", json={"object_key": keys[0]}, headers=key)
    assert single.status_code == 202, "keys of batches and of videos are apart"
    assert counts(sessions) == (1, 20, 21, 21)


def test_eight_at_once_with_a_key_make_one(
    connect: Callable[..., httpx.Client], api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 5)
    headers = {"Idempotency-Key": "k", "Authorization": api.headers["authorization"]}
    with ThreadPoolExecutor(8) as pool:
        send = lambda _: connect().post("/v1/batches", json=by_key(keys), headers=headers)  # noqa: E731
        responses = list(pool.map(send, range(8)))
    assert {response.status_code for response in responses} == {202}
    assert len({response.text for response in responses}) == 1
    assert counts(sessions) == (1, 5, 5, 5)


def test_eight_at_once_with_objects_in_common(
    connect: Callable[..., httpx.Client], api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 8)
    headers = {"Authorization": api.headers["authorization"]}

    def send(number: int) -> int:
        turned = keys[number:] + keys[:number]
        return connect().post("/v1/batches", json=by_key(turned), headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {202}
    assert counts(sessions) == (8, 8, 64, 64)


def problem(response: httpx.Response) -> tuple[int, str, list[str]]:
    body = response.json()
    return response.status_code, body["code"], [error["field"] for error in body["errors"]]


def test_bad_item_17_is_named(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    keys = put(objects, creator, 20)
    keys[17] += "-missing"
    response = api.post("/v1/batches", json=by_key(keys), headers={"Idempotency-Key": "k"})
    assert problem(response) == (409, "content.not_uploaded", ["videos[17].object_key"])
    assert response.json()["detail"].startswith(
        "Nothing was started. videos[17].object_key: Nothing was uploaded there"
    )
    assert counts(sessions) == (0, 0, 0, 0), "all or nothing, and a refusal takes no key"
    response = api.post("/v1/batches", json=by_key(keys[:17]), headers={"Idempotency-Key": "k"})
    assert response.status_code == 202


def test_several_problems_are_named_at_once(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 1)
    nobody = str(uuid.uuid4())
    videos: list[Body] = [
        {"object_key": keys[0]},
        {},
        {"content_id": nobody},
        {"object_key": "creators/x/a.mp4"},
        {"object_key": keys[0], "content_id": nobody},
        {"content_id": nobody},
    ]
    response = api.post("/v1/batches", json={"videos": videos})
    named = ["videos[1].content_id", "videos[2].content_id", "videos[3].object_key", "videos[4].content_id"]
    assert problem(response) == (422, "request.invalid", [*named, "videos[5].content_id"])
    assert response.json()["detail"].endswith("and 2 more, in `errors`.")
    objects.put(f"creators/{creator.id}/empty.mp4", b"", "video/mp4")
    videos = [{"object_key": f"creators/{creator.id}/{name}.mp4"} for name in ("gone", "empty", "gone")]
    response = api.post("/v1/batches", json={"videos": videos})
    named = [f"videos[{place}].object_key" for place in range(3)]
    assert problem(response) == (422, "request.invalid", named), "of several kinds"
    videos = [{"content_id": nobody}, {"content_id": nobody}]
    response = api.post("/v1/batches", json={"videos": videos})
    assert problem(response) == (404, "content.not_found", ["videos[0].content_id", "videos[1].content_id"])
    assert counts(sessions) == (0, 0, 0, 0)


FAR = (datetime.now(UTC) + timedelta(days=91)).isoformat()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["videos"]),
        ({"videos": []}, ["videos"]),
        ({"videos": [{"object_key": "a"}] * 1001}, ["videos"]),
        ({"videos": "all"}, ["videos"]),
        ({"videos": [{}, 5]}, ["videos[1]"]),
        ({"videos": [{"object_key": "a", "cells": 5}, {"cells": "9", "x": 1}]}, ["videos[0].cells", "videos[1].cells"]),
        ({"videos": [{"object_key": "a"}], "name": ""}, ["name"]),
        ({"videos": [{"object_key": "a"}], "name": "x" * 256}, ["name"]),
        ({"videos": [{"object_key": "a"}], "follow_on": "noop"}, ["follow_on"]),
        ({"videos": [{"object_key": "a", "run_at": "2026-01-01T00:00:00"}]}, ["videos[0].run_at"]),
        ({"videos": [{"object_key": "a", "run_at": FAR}]}, ["videos[0].run_at"]),
        ([], ["body"]),
    ],
)
def test_a_mistake_is_named(api: httpx.Client, body: Any, fields: list[str]) -> None:
    status, code, named = problem(api.post("/v1/batches", json=body))
    assert (status, code) == (422, "request.invalid")
    assert named[: len(fields)] == fields


def test_a_thousand_are_taken_and_more_bytes_are_not(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    [key] = put(objects, creator, 1)
    answer = api.post("/v1/batches", json=by_key([key] * 1000), timeout=60)
    assert answer.status_code == 202, answer.text[:300]
    assert len(answer.json()["videos"]) == 1000
    assert counts(sessions) == (1, 1, 1000, 1000)
    limit = LARGER_BODIES["/v1/batches"]
    body = b'{"videos": []}'.ljust(limit)
    assert problem(api.post("/v1/batches", content=body, headers={"Content-Type": "application/json"}))[0] == 422
    response = api.post("/v1/batches", content=body + b" ", headers={"Content-Type": "application/json"})
    assert problem(response) == (413, "request.too_large", [])
    assert str(limit) in response.json()["detail"]
    assert api.post("/v1/videos", content=body).status_code == 413, "elsewhere the bound is the usual one"


def test_a_batch_to_its_end(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    answer = api.post("/v1/batches", json=by_key(put(objects, creator, 4))).json()
    with sessions.begin() as session:
        first = session.get_one(Job, uuid.UUID(answer["videos"][0]["job_id"]))
        first.state, first.finished_at = JobState.SUCCEEDED, first.created_at
    assert api.get(answer["url"]).json()["progress"] == 0.25
    end_all(sessions, JobState.FAILED)
    before = api.get(answer["url"]).json()
    assert (before["progress"], before["ended_at"]) == (1.0, None), "all have ended, and nobody has noticed yet"
    with sessions.begin() as session:
        batch_store.close(session)
        event_store.place(session)
        [event] = [e for e in event_store.read_after(session, creator.id, 0) if e.type == "batch.ended"]
    assert str(event.subject_id) == answer["id"]
    after = api.get(answer["url"]).json()
    assert after["ended_at"] is not None
    assert after["counts"] == before["counts"] == dict.fromkeys(JobState, 0) | {"succeeded": 1, "failed": 3}
    retried = api.post(f"/v1/jobs/{answer['videos'][1]['job_id']}/retry").json()
    assert retried["state"] == "waiting"
    assert api.get(answer["url"]).json() == after, "a job that is tried again later does not open it"


def test_cancelling_a_batch(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    answer = api.post("/v1/batches", json=by_key(put(objects, creator, 60))).json()
    with sessions.begin() as session:
        running = session.get_one(Job, uuid.UUID(answer["videos"][7]["job_id"]))
        running.state, running.lease_until, running.attempt = JobState.RUNNING, running.created_at, 1
    cancelled = api.post(answer["url"] + "/cancel").json()
    assert cancelled["counts"] == dict.fromkeys(JobState, 0) | {"cancelled": 59, "running": 1}
    jobs = {job["id"]: job for job in api.get(answer["url"] + "/jobs", params={"limit": 100}).json()["jobs"]}
    assert jobs[str(running.id)]["cancel_requested"] is True
    assert api.get(answer["videos"][0]["url"]).json()["status"] == "cancelled"
    assert api.post(answer["url"] + "/cancel").json() == cancelled, "repeating does no harm"


def test_lists_are_walked_by_their_cursors(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 5)
    answers = [api.post("/v1/batches", json=by_key(keys, name=str(number))).json() for number in range(3)]
    walked = [("/v1/batches", "batches", [answer["id"] for answer in answers])]
    walked += [(answers[1]["url"] + "/jobs", "jobs", [video["job_id"] for video in answers[1]["videos"]])]
    for path, what, ids in walked:
        seen: list[str] = []
        cursor: Body = {}
        while cursor is not None:
            page = api.get(path, params={"limit": 2, **cursor}).json()
            seen += [one["id"] for one in page[what]]
            cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None  # type: ignore[assignment]
        assert seen == ids[::-1], path


def test_another_creators_batch_does_not_exist(
    api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    keys = put(objects, creator, 2)
    answer = api.post("/v1/batches", json=by_key(keys), headers={"Idempotency-Key": "k"}).json()
    for method, path in (("GET", ""), ("GET", "/jobs"), ("POST", "/cancel")):
        foreign = other.request(method, answer["url"] + path)
        unknown = other.request(method, f"/v1/batches/{uuid.uuid4()}{path}")
        assert problem(foreign) == problem(unknown) == (404, "batch.not_found", [])
        assert foreign.json() == unknown.json()
    assert other.get("/v1/batches").json()["batches"] == []
    assert other.get("/v1/batches", params={"cursor": str(uuid.UUID(int=2**128 - 1))}).json()["batches"] == []
    mine = other.post("/v1/batches", json=by_key(keys), headers={"Idempotency-Key": "k"})
    assert problem(mine) == (422, "request.invalid", ["videos[0].object_key", "videos[1].object_key"])
    theirs = {"videos": [{"content_id": answer["videos"][0]["content_id"]}]}
    assert problem(other.post("/v1/batches", json=theirs)) == (404, "content.not_found", ["videos[0].content_id"])
    assert api.get(answer["url"]).json()["counts"]["waiting"] == 2, "and nothing was done to it"


class WatchedStore(MemoryObjectStore):
    """Heads meet at a barrier, and look around."""

    def __init__(self, at_once: int, watch: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.barrier = threading.Barrier(at_once)
        self.watch = watch
        self.heads: list[str] = []
        self.under_way: list[int] = []
        self._lock, self._now = threading.Lock(), 0

    def head(self, key: str) -> ObjectInfo:
        with self._lock:
            self._now += 1
            self.under_way.append(self._now)
            self.heads.append(key)
        self.barrier.wait(10)
        self.watch()
        with self._lock:
            self._now -= 1
        return super().head(key)


def services(store: Any, settings: Settings, look_ups: int = LOOK_UPS, **parts: Any) -> Services:
    semaphore = threading.Semaphore(look_ups)
    return cast(Services, SimpleNamespace(objects=store, settings=settings, look_ups=semaphore, **parts))


def sources(count: int) -> list[Source]:
    return [Source("object_key", f"k{number}", "n") for number in range(count)]


def test_objects_are_looked_at_a_few_at_a_time_and_once(settings: Settings) -> None:
    store = WatchedStore(LOOKING)
    for source in sources(2 * LOOKING):
        store.objects[source.object_key] = (b"x", "video/mp4")
    found = look_all(services(store, settings), sources(2 * LOOKING) * 2)
    assert all(not isinstance(seen, ProblemError) for seen in found.values())
    assert sorted(store.heads) == sorted(source.object_key for source in sources(2 * LOOKING))
    assert max(store.under_way) == LOOKING
    assert LOOKING < LOOK_UPS / 2, "a batch leaves room for others"


def test_a_store_that_is_slow_has_a_deadline(settings: Settings) -> None:
    with pytest.raises(StorageAway, match="more than 0 s"):
        look_all(services(MemoryObjectStore(), settings), sources(3), within_s=0)
    with pytest.raises(StorageAway, match="Too many requests"):
        look_all(services(MemoryObjectStore(), settings, look_ups=0), sources(3), within_s=0.05)


def test_a_store_that_is_away_is_not_asked_for_the_rest(settings: Settings) -> None:
    class Away(MemoryObjectStore):
        heads = 0

        def head(self, key: str) -> ObjectInfo:
            self.heads += 1
            raise StorageAway

    store = Away()
    with pytest.raises(StorageAway):
        look_all(services(store, settings), sources(500))
    assert store.heads < 500


def test_no_connection_is_held_while_the_store_is_asked(
    engine: Engine, settings: Settings, creator: User, sessions: Sessions
) -> None:
    held: list[int] = []
    store = WatchedStore(1, lambda: held.append(engine.pool.checkedout()))  # type: ignore[attr-defined]
    keys = [f"creators/{creator.id}/{number}.mp4" for number in range(3)]
    for key in keys:
        store.objects[key] = (b"x", "video/mp4")
    statements = build_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
    here = services(store, settings, sessions=sessions, statements=statements)
    body = BatchRequest.model_validate(by_key(keys))
    response = cast(Any, SimpleNamespace(headers={}))
    accepted = accept_batch(body, here, Caller(creator.id, "secret"), response, "k")
    assert held == [0, 0, 0]
    assert len(accepted.videos) == 3
    store.objects.clear()
    assert accept_batch(body, here, Caller(creator.id, "secret"), response, "k") == accepted, "the store is not asked"
    with sessions.begin() as session:
        session.execute(text("DELETE FROM jobs"))
    assert accept_batch(body, here, Caller(creator.id, "secret"), response, "k").id == accepted.id
