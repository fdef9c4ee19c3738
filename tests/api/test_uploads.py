"""An upload's URL keeps to what was promised."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from huntaze.clients.s3 import S3ObjectStore
from huntaze.models.content import Content
from huntaze.models.database import Sessions
from huntaze.models.users import User

FILE = b"not really a video"
ASKED = {"name": "beach.mp4", "size": len(FILE), "type": "video/mp4"}


def promised(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    response = api.post("/v1/uploads", json=ASKED | changes)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def put(upload: dict[str, Any], body: bytes = FILE, url: str | None = None, **headers: str) -> int:
    sent = {k: v for k, v in (upload["headers"] | headers).items() if k != "Content-Length"}
    return httpx.put(url or upload["url"], content=body, headers=sent, trust_env=False).status_code


def test_the_url_takes_what_was_promised(
    api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore
) -> None:
    upload = promised(api, name="../../etc/passwd.mp4", type="Video/MP4")
    key = f"creators/{creator.id}/uploads/{upload['content_id']}/source.mp4"
    assert (upload["method"], upload["object_key"]) == ("PUT", key), "the creator's name for it is no part of the path"
    assert upload["headers"] == {"Content-Length": str(len(FILE)), "Content-Type": "video/mp4"}
    left = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert put(upload) == 200
    seen = objects.head(key)
    assert (seen.size, seen.content_type) == (len(FILE), "video/mp4")
    with sessions() as session:
        content = session.get_one(Content, uuid.UUID(upload["content_id"]))
    assert (content.name, content.size, content.etag) == ("../../etc/passwd.mp4", len(FILE), None)


def test_the_url_takes_nothing_else(api: httpx.Client, objects: S3ObjectStore) -> None:
    upload = promised(api)
    assert put(upload, FILE + b"!") == 403
    assert put(upload, FILE[:-1]) == 403
    assert put(upload, **{"Content-Type": "text/html"}) == 403
    elsewhere = upload["url"].replace("source.mp4", "other.mp4")
    assert put(upload, url=elsewhere) == 403
    longer = upload["url"].replace("X-Amz-Expires=3600", "X-Amz-Expires=604800")
    assert longer != upload["url"]
    assert put(upload, url=longer) == 403
    with pytest.raises(Exception, match="not_found"):
        objects.head(upload["object_key"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": "12"}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": True}, "size"),
        ({"size": 20 * 1024**3 + 1}, "size"),
        ({"size": 10**30}, "size"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": None}, "name"),
        ({"type": "image/png"}, "type"),
        ({"type": "application/octet-stream"}, "type"),
        ({"type": "video/mp4; codecs=avc1"}, "type"),
        ({"creator_id": str(uuid.uuid4())}, "creator_id"),
    ],
)
def test_a_mistake_is_named(api: httpx.Client, change: dict[str, Any], field: str) -> None:
    response = api.post("/v1/uploads", json=ASKED | change)
    assert (response.status_code, response.json()["code"]) == (422, "request.invalid")
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_half_a_surrogate_pair_is_no_name(api: httpx.Client) -> None:
    body = rb'{"name": "\ud800", "size": 1, "type": "video/mp4"}'
    response = api.post("/v1/uploads", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "name")
