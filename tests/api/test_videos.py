"""Videos: accepted once, shown whole."""

import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from huntaze.api.schemas.videos import Keyframe, Video
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.pipelines.video import grid, kept
from huntaze.pipelines.video.storyboard import SPRITE_URL, storyboard
from tests.api.video_requests import FILE, accepted, analysed, uploaded


def counts(sessions: Sessions) -> tuple[int, int, int]:
    with sessions() as session:
        tables = (Content, ContentTask, Job)
        content, tasks, jobs = (session.scalars(select(func.count()).select_from(table)).one() for table in tables)
    return content, tasks, jobs


def test_rows_and_job_in_one_go(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    content_id = uploaded(api, objects)
    response = api.post("/v1/videos", json={"content_id": content_id, "cells": 4})
    assert response.status_code == 202
    body = response.json()
    assert response.headers["location"] == body["url"] == f"/v1/videos/{body['id']}"
    assert body["content_id"] == content_id
    with sessions() as session:
        task = session.get_one(ContentTask, uuid.UUID(body["id"]))
        job = session.get_one(Job, uuid.UUID(body["job_id"]))
        content = session.get_one(Content, uuid.UUID(content_id))
    assert (task.creator_id, task.job_id, task.status) == (creator.id, job.id, "queued")
    assert (job.kind, job.creator_id, job.subject_id) == ("video.extract", creator.id, task.id)
    assert job.args == {"task_id": body["id"], "cells": 4}
    assert (content.size, content.etag) == (len(FILE), objects.head(content.object_key).etag)


def test_a_repeat_gets_the_same_answer(api: httpx.Client, sessions: Sessions, objects: S3ObjectStore) -> None:
    body = {"content_id": uploaded(api, objects)}
    first = api.post("/v1/videos", json=body, headers={"Idempotency-Key": "k"})
    repeat = api.post("/v1/videos", json=body | {"cells": None}, headers={"Idempotency-Key": "k"})
    assert (repeat.status_code, repeat.json()) == (202, first.json()), "null is the default: the request is the same"
    assert repeat.headers["location"] == first.headers["location"]
    assert counts(sessions) == (1, 1, 1)
    another = api.post("/v1/videos", json=body | {"cells": 4}, headers={"Idempotency-Key": "k"})
    assert (another.status_code, another.json()["code"]) == (409, "request.key_reused")
    assert counts(sessions) == (1, 1, 1)


def test_a_key_belongs_to_its_creator(
    api: httpx.Client, other: httpx.Client, sessions: Sessions, objects: S3ObjectStore
) -> None:
    for client in (api, other):
        body = {"content_id": uploaded(client, objects)}
        assert client.post("/v1/videos", json=body, headers={"Idempotency-Key": "k"}).status_code == 202
    assert counts(sessions) == (2, 2, 2)


def test_without_a_key_each_request_is_another(api: httpx.Client, sessions: Sessions, objects: S3ObjectStore) -> None:
    body = {"content_id": uploaded(api, objects)}
    ids = {api.post("/v1/videos", json=body).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert counts(sessions) == (1, 2, 2)


def test_eight_at_once_make_one(
    connect: Callable[..., httpx.Client], api: httpx.Client, sessions: Sessions, objects: S3ObjectStore, creator: User
) -> None:
    key = f"creators/{creator.id}/imports/beach.mp4"  # the content row is made in the race, too
    objects.put(key, FILE, "video/mp4")
    authorization = api.headers["authorization"]

    def send(number: int) -> httpx.Response:
        headers = {"Idempotency-Key": "k", "Authorization": authorization}
        return connect().post("/v1/videos", json={"object_key": key}, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(8)))
    assert {response.status_code for response in responses} == {202}
    assert len({response.text for response in responses}) == 1
    assert counts(sessions) == (1, 1, 1)


def test_eight_at_once_without_a_key_share_the_content(
    connect: Callable[..., httpx.Client], api: httpx.Client, sessions: Sessions, objects: S3ObjectStore, creator: User
) -> None:
    key = f"creators/{creator.id}/imports/sea.mp4"
    objects.put(key, FILE, "video/mp4")
    authorization = api.headers["authorization"]

    def send(number: int) -> httpx.Response:
        return connect().post("/v1/videos", json={"object_key": key}, headers={"Authorization": authorization})

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(8)))
    assert {response.status_code for response in responses} == {202}
    assert counts(sessions) == (1, 8, 8)


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 201, "a\tb"])
def test_an_idempotency_key_is_bounded(api: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    response = api.post("/v1/videos", json={"content_id": str(uuid.uuid4())}, headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_an_object_that_came_by_other_means(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    key = f"creators/{creator.id}/imports/Am Strand.mov"
    objects.put(key, FILE, "video/quicktime")
    first = api.post("/v1/videos", json={"object_key": key}).json()
    objects.put(key, FILE * 2, "video/quicktime")
    second = api.post("/v1/videos", json={"object_key": key}).json()
    assert first["content_id"] == second["content_id"]
    with sessions() as session:
        content = session.get_one(Content, uuid.UUID(first["content_id"]))
    assert (content.name, content.content_type, content.size) == ("Am Strand.mov", "video/quicktime", len(FILE) * 2)
    assert content.etag == objects.head(key).etag, "what is there now"


def test_the_file_must_be_there(api: httpx.Client, creator: User, sessions: Sessions) -> None:
    upload = api.post("/v1/uploads", json={"name": "a.mp4", "size": 5, "type": "video/mp4"}).json()
    named = {"content_id": upload["content_id"]}, {"object_key": f"creators/{creator.id}/nothing.mp4"}
    for body in named:
        response = api.post("/v1/videos", json=body, headers={"Idempotency-Key": "k"})
        assert (response.status_code, response.json()["code"]) == (409, "content.not_uploaded")
        assert [error["field"] for error in response.json()["errors"]] == list(body)
    assert counts(sessions) == (1, 0, 0), "a refusal takes no key"


def test_an_empty_file_is_no_video(api: httpx.Client, creator: User, objects: S3ObjectStore) -> None:
    key = f"creators/{creator.id}/empty.mp4"
    objects.put(key, b"", "video/mp4")
    response = api.post("/v1/videos", json={"object_key": key})
    assert (response.status_code, response.json()["code"]) == (422, "content.empty")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content_id"),
        ({"content_id": str(uuid.uuid4()), "object_key": "a"}, "content_id"),
        ({"content_id": "beach"}, "content_id"),
        ({"content_id": str(uuid.uuid4()), "cells": 5}, "cells"),
        ({"content_id": str(uuid.uuid4()), "cells": "9"}, "cells"),
        ({"content_id": str(uuid.uuid4()), "prompt": "x"}, "prompt"),
        ({"object_key": ""}, "object_key"),
        ({"object_key": "x" * 513}, "object_key"),
        ({"object_key": "creators/somebody/a.mp4"}, "object_key"),
        ({"object_key": "creators/{me}/../{me}/a.mp4"}, "object_key"),
        ({"object_key": "creators/{me}//a.mp4"}, "object_key"),
        ({"object_key": "creators/{me}/"}, "object_key"),
        ({"object_key": "creators/{me}/a\x00.mp4"}, "object_key"),
        ([], "body"),
    ],
)
def test_a_mistake_is_named(api: httpx.Client, creator: User, body: Any, field: str) -> None:
    if "object_key" in body:
        body = body | {"object_key": body["object_key"].replace("{me}", str(creator.id))}
    response = api.post("/v1/videos", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "request.invalid")
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_video_before_and_after(api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore) -> None:
    answer = accepted(api, objects)
    before = api.get(answer["url"]).json()
    shown = ("id", "content_id", "job_id", "name", "size", "status", "progress", "error")
    assert [before[name] for name in shown] == [*list(answer.values())[:3], "beach.mp4", len(FILE), "queued", 0.0, None]
    parts = ("media", "keyframes", "analysis", "usage", "reading", "artifacts")
    assert all(before[name] is None for name in parts)
    analysed(sessions, answer["id"], creator.id)
    objects.put(f"creators/{creator.id}/artifacts/grid", b"jpeg", "image/jpeg")
    after = api.get(answer["url"]).json()
    assert (after["status"], after["progress"], after["analysis"]["summary"]) == ("succeeded", 1.0, "A beach.")
    assert after["keyframes"] == [{"cell": 1, "time_s": 0.0}, {"cell": 2, "time_s": 2.0}]
    assert after["usage"]["sandbox"] is True
    assert after["reading"] == {"bytes": 10, "requests": 2, "size": 18}
    pictures = after["artifacts"]
    names = {"grid", "poster", "poster_webp", "preview", "storyboard", "storyboard_vtt"}
    assert set(pictures) == {*names, "expires_at"}
    assert httpx.get(pictures["grid"], trust_env=False).content == b"jpeg"
    forged = pictures["grid"].replace("X-Amz-Signature=", "X-Amz-Signature=0")
    assert httpx.get(forged, trust_env=False).status_code == 403


def test_a_players_storyboard_names_its_picture_by_a_url_that_works(
    api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    answer = accepted(api, objects)
    url = f"{answer['url']}/storyboard.vtt"
    assert api.get(url).json()["code"] == "storyboard.not_found"
    analysed(sessions, answer["id"], creator.id)
    frame = kept.Keyframe(0.0, np.zeros((9, 16, 3), dtype=np.uint8), 0)
    made = storyboard((frame, replace(frame, time_s=1.5)), duration_s=3.0, sprite_url=SPRITE_URL)
    objects.put(f"creators/{creator.id}/artifacts/storyboard", made.jpeg, "image/jpeg")
    objects.put(f"creators/{creator.id}/artifacts/storyboard_vtt", made.vtt.encode(), "text/vtt")
    response = api.get(url)
    assert response.headers["content-type"].startswith("text/vtt")
    pictures = re.findall(r"^(http\S+)#xywh=\d+,\d+,256,144$", response.text, re.MULTILINE)
    assert len(pictures) == 2
    assert SPRITE_URL + "#" not in response.text
    assert httpx.get(pictures[0], trust_env=False).content == made.jpeg
    assert other.get(url).status_code == 404


def test_the_document_counts_cells_as_the_grid_does() -> None:
    example = Video.model_json_schema()["examples"][0]
    assert [frame["cell"] for frame in example["keyframes"]] == [cell.index for cell in grid.layout((0.0, 1.4))]
    assert "from 1" in Keyframe.model_json_schema()["properties"]["cell"]["description"]


def test_the_list_is_walked_by_its_cursor(api: httpx.Client, objects: S3ObjectStore) -> None:
    ids = [accepted(api, objects)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/v1/videos", params={"limit": 2, **cursor}).json()
        seen += [video["id"] for video in page["videos"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ids[::-1]
    assert api.get("/v1/videos", params={"status": "failed"}).json()["videos"] == []
    assert len(api.get("/v1/videos", params={"status": "queued"}).json()["videos"]) == 5
