"""Whatever is sent, the answer is a problem document of the right kind."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from huntaze.api.edge import MAX_BODY_BYTES
from tests.api.conftest import Connect

JSON = {"Content-Type": "application/json"}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    assert body["type"] == f"urn:huntaze:problem:{body['code']}"
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/videos", "/v1/jobs", "/nowhere"])
def test_a_body_that_is_too_large(api: httpx.Client, path: str) -> None:
    response = api.post(path, content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert problem(response) == (413, "request.too_large")


def test_a_body_that_does_not_say_how_large_it_is(api: httpx.Client) -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            taken += 1
            yield b" " * 1024

    response = api.post("/v1/uploads", content=chunks(), headers=JSON)
    assert problem(response) == (413, "request.too_large")
    exact = api.post("/v1/uploads", content=iter([b" " * (MAX_BODY_BYTES - 2), b"{}"]), headers=JSON)
    assert problem(exact) == (422, "request.invalid"), "the limit itself is allowed"


def test_a_body_without_end_is_cut_off(api: httpx.Client, base_url: str) -> None:
    host, port = urlsplit(base_url).hostname, urlsplit(base_url).port
    with socket.create_connection((host, port), timeout=10) as connection:
        head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['authorization']}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")
        answer = connection.recv(65536)  # before the body has ended
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (b"{", JSON, (400, "request.not_json")),
        (b"\xff", JSON, (400, "request.malformed")),
        (b"", JSON, (422, "request.invalid")),
        (b"{}", {"Content-Type": "text/plain"}, (422, "request.invalid")),
        (b"[1]", JSON, (422, "request.invalid")),
        (b"null", JSON, (422, "request.invalid")),
        (b"[" * 60_000, JSON, (400, "request.malformed")),
        (b'{"size": ' + b"9" * 5000 + b"}", JSON, (400, "request.malformed")),
        (b'{"name": "a", "size": NaN, "type": "video/mp4"}', JSON, (422, "request.invalid")),
    ],
)
def test_bodies_that_are_none(
    api: httpx.Client, content: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert problem(api.post("/v1/uploads", content=content, headers=headers)) == expected


def test_a_mistake_is_not_repeated_at_length(api: httpx.Client) -> None:
    body = {f"field{n}" * 50: "x" for n in range(100)}
    response = api.post("/v1/uploads", json=body)
    assert problem(response) == (422, "request.invalid")
    assert len(response.content) < 8_000


def test_no_such_address(api: httpx.Client) -> None:
    for path in ("/", "/v1", "/v1/jobs/", "/v1/videos/x/y", "/v2/jobs"):
        assert problem(api.get(path)) == (404, "route.not_found"), path


def test_no_such_method(api: httpx.Client) -> None:
    response = api.delete("/v1/uploads")
    assert problem(response) == (405, "route.method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_an_id_that_is_none(api: httpx.Client) -> None:
    response = api.get("/v1/jobs/42")
    assert problem(response) == (422, "request.invalid")
    assert response.json()["errors"][0]["field"] == "job_id"


def test_a_request_has_a_name(connect: Connect) -> None:
    client = connect()
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    made_up = client.get("/healthz", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert len(made_up) == 32


def test_a_problem_in_the_document_is_a_problem_on_the_wire(connect: Connect) -> None:
    document = connect().get("/openapi.json").json()
    responses = document["paths"]["/v1/videos"]["post"]["responses"]
    example = responses["409"]["content"]["application/problem+json"]["example"]
    schema = document["components"]["schemas"]["Problem"]
    assert set(example) == set(connect().get("/v1/jobs").json()) == set(schema["properties"])
