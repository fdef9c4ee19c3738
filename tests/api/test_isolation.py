"""Another creator's rows do not exist, on any route; and every route asks who is there."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from huntaze.api import routes
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models.database import Sessions
from huntaze.models.users import User
from tests.api.conftest import Connect
from tests.api.video_requests import accepted, uploaded

OPEN = {"/healthz", "/readyz", "/metrics"}
HTTP_METHODS = {"get", "post", "put", "patch", "delete"}


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    paths = document["paths"].items()
    return [(method, path, op) for path, item in paths for method, op in item.items() if method in HTTP_METHODS]


def test_every_route_but_health_wants_a_key(connect: Connect) -> None:
    client = connect()
    document = client.get("/openapi.json").json()
    guarded = [(method, path, op) for method, path, op in operations(document) if path not in OPEN]
    assert len(guarded) > 50, "the document names the routes"
    for method, path, op in guarded:
        url = re.sub(r"{\w+}", "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa", path)
        response = client.request(method, url, json={} if method == "post" else None)
        assert (response.status_code, response.json()["code"]) == (401, "auth.required"), (method, path)
        assert op["security"] == [{"ApiKey": []}], (method, path)
        responses = op["responses"]
        assert {"401", "403", "422", "503"} <= set(responses), (method, path)
        assert all(list(r["content"]) == ["application/problem+json"] for s, r in responses.items() if s >= "4")


def test_only_vendors_addresses_are_not_in_the_document() -> None:
    """What is not in it is not looked at above: such a route asks for a signature or a secret of its own."""
    hidden = [
        file.stem for file in Path(routes.__path__[0]).glob("*.py") if "in_schema=False)\n" in file.read_text("utf-8")
    ]
    assert sorted(hidden) == ["apify_webhooks", "payment_webhooks"]


def test_the_document_is_whole(connect: Connect) -> None:
    document = connect().get("/openapi.json").json()
    wanted = set(re.findall(r'"#/components/schemas/(\w+)"', connect().get("/openapi.json").text))
    schemas = document["components"]["schemas"]
    assert wanted <= set(schemas), "every reference leads somewhere"
    assert {"Problem", "FieldError"} <= wanted
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for method, path, op in operations(document):
        assert op["tags"], (method, path)
        body = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        good = next(r for s, r in op["responses"].items() if s.startswith("2"))
        shapes = [body, *(media["schema"] for media in good["content"].values() if "example" not in media)]
        for shape in filter(None, shapes):
            assert "$ref" in shape, (method, path, "has no schema of its own")
            schema = schemas[shape["$ref"].rsplit("/", 1)[-1]]
            assert "examples" in schema or path == "/healthz", (method, path, "has no example")
    bodies = ("BatchRequest", "UploadRequest", "VideoRequest")
    assert [name for name in bodies if schemas[name]["additionalProperties"] is not False] == []


def test_another_creators_ids_are_404(api: httpx.Client, other: httpx.Client, objects: S3ObjectStore) -> None:
    content_id = uploaded(api, objects)
    answer = accepted(api, objects)
    attempts = [
        ("GET", f"/v1/videos/{answer['id']}", None, "video.not_found"),
        ("GET", f"/v1/videos/{answer['id']}/storyboard.vtt", None, "storyboard.not_found"),
        ("GET", f"/v1/jobs/{answer['job_id']}", None, "job.not_found"),
        ("POST", f"/v1/jobs/{answer['job_id']}/cancel", None, "job.not_found"),
        ("POST", f"/v1/jobs/{answer['job_id']}/retry", None, "job.not_found"),
        ("POST", "/v1/videos", {"content_id": content_id}, "content.not_found"),
    ]
    for method, path, body, code in attempts:
        response = other.request(method, path, json=body)
        assert (response.status_code, response.json()["code"]) == (404, code), path
    assert api.get(f"/v1/jobs/{answer['job_id']}").json()["state"] == "waiting", "and nothing was done to it"
    assert other.get("/v1/jobs").json()["jobs"] == other.get("/v1/videos").json()["videos"] == []
    foreign = {"cursor": answer["job_id"]}
    assert other.get("/v1/jobs", params=foreign).json()["jobs"] == []


def test_an_unknown_id_reads_like_a_foreign_one(api: httpx.Client, other: httpx.Client, objects: S3ObjectStore) -> None:
    answer = accepted(api, objects)
    foreign = other.get(f"/v1/videos/{answer['id']}").json()
    unknown = other.get(f"/v1/videos/{answer['job_id']}").json()
    assert foreign == unknown


def test_another_creators_object_cannot_be_named(
    api: httpx.Client, other: httpx.Client, creator: User, objects: S3ObjectStore
) -> None:
    key = f"creators/{creator.id}/imports/beach.mp4"
    objects.put(key, b"x", "video/mp4")
    refused = other.post("/v1/videos", json={"object_key": key})
    missing = other.post("/v1/videos", json={"object_key": key + "-missing"})
    assert refused.status_code == missing.status_code == 422
    assert refused.json() == missing.json(), "not even whether it is there"


@pytest.mark.parametrize("path", sorted(OPEN))
def test_health_tells_nothing_of_creators(
    connect: Connect, api: httpx.Client, creator: User, sessions: Sessions, objects: S3ObjectStore, path: str
) -> None:
    answer = accepted(api, objects)
    api.get(answer["url"])
    with sessions() as session:
        ids = session.execute(text("SELECT id::text FROM jobs UNION SELECT id::text FROM users")).scalars().all()
    shown = connect().get(path).text
    assert not [id for id in [*ids, *answer.values()] if id in shown]
