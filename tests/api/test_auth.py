"""Who gets in, and for whom."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from huntaze.models import job_enqueue, user_store
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.users import Scope, User
from tests.api.conftest import Connect

MakeKey = Callable[..., str]


def test_no_key(connect: Connect) -> None:
    response = connect().get("/v1/jobs")
    assert (response.status_code, response.json()["code"]) == (401, "auth.required")
    assert response.headers["www-authenticate"] == 'Bearer realm="huntaze"'
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "header",
    [
        "Bearer hz_00000000_wrong",
        "Bearer nonsense",
        "Bearer hz_a_%00",
        "Bearer " + "x" * 5000,
        b"Bearer hz_\xff_\xff",
    ],
)
def test_a_wrong_key(connect: Connect, engine: object, header: str | bytes) -> None:
    response = connect().get("/v1/jobs", headers={"Authorization": header})  # type: ignore[dict-item]
    assert (response.status_code, response.json()["code"]) == (401, "auth.invalid_key")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "hz_00000000_wrong"])
def test_another_scheme(connect: Connect, header: str) -> None:
    response = connect().get("/v1/jobs", headers={"Authorization": header})
    assert (response.status_code, response.json()["code"]) == (401, "auth.required")


def test_the_right_prefix_with_another_secret(connect: Connect, creator: User, make_key: MakeKey) -> None:
    key = make_key(creator)
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert connect(key).get("/v1/jobs").status_code == 200
    assert connect(forged).get("/v1/jobs").status_code == 401


def test_an_expired_key(connect: Connect, creator: User, make_key: MakeKey) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert connect(make_key(creator, expires_at=past)).get("/v1/jobs").status_code == 401
    later = datetime.now(UTC) + timedelta(hours=1)
    assert connect(make_key(creator, expires_at=later)).get("/v1/jobs").status_code == 200


def test_a_revoked_key(connect: Connect, creator: User, make_key: MakeKey, sessions: Sessions) -> None:
    key = make_key(creator)
    client = connect(key)
    assert client.get("/v1/jobs").status_code == 200
    with sessions.begin() as session:
        assert user_store.revoke_key(session, key.split("_")[1])
    assert client.get("/v1/jobs").status_code == 401


def test_scopes(connect: Connect, creator: User, make_key: MakeKey) -> None:
    upload = {"name": "a.mp4", "size": 1, "type": "video/mp4"}
    reader, writer = connect(make_key(creator, Scope.READ)), connect(make_key(creator, Scope.WRITE))
    assert reader.get("/v1/jobs").status_code == 200
    refused = reader.post("/v1/uploads", json=upload)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.scope_missing")
    assert 'error="insufficient_scope", scope="write"' in refused.headers["www-authenticate"]
    assert writer.post("/v1/uploads", json=upload).status_code == 201
    assert writer.get("/v1/jobs").status_code == 403


def test_a_service_acts_for_the_creator_it_names(
    connect: Connect, creator: User, stranger: User, make_key: MakeKey, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, Noop(), creator_id=creator.id).job
    service = connect(make_key(None, Scope.READ, Scope.ACT_FOR))

    def seen(user_id: object) -> list[str]:
        page = service.get("/v1/jobs", headers={"X-Creator-Id": str(user_id)}).json()
        return [job["id"] for job in page["jobs"]]

    assert seen(creator.id) == [str(job.id)]
    assert seen(stranger.id) == []
    unnamed = service.get("/v1/jobs")
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "auth.creator_missing")
    assert unnamed.json()["errors"][0]["field"] == "X-Creator-Id"
    nobody = service.get("/v1/jobs", headers={"X-Creator-Id": str(uuid.uuid4())})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "creator.not_found")
    garbled = service.get("/v1/jobs", headers={"X-Creator-Id": "ada"})
    assert (garbled.status_code, garbled.json()["errors"][0]["field"]) == (422, "X-Creator-Id")


def test_a_service_without_the_scope_acts_for_nobody(connect: Connect, creator: User, make_key: MakeKey) -> None:
    headers = {"X-Creator-Id": str(creator.id)}
    refused = connect(make_key(None, Scope.READ)).get("/v1/jobs", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.scope_missing")


def test_a_creators_key_acts_for_no_other(
    connect: Connect, creator: User, stranger: User, make_key: MakeKey, sessions: Sessions
) -> None:
    client = connect(make_key(creator, Scope.READ, Scope.WRITE, Scope.ACT_FOR))
    assert client.get("/v1/jobs", headers={"X-Creator-Id": str(creator.id)}).status_code == 200
    refused = client.get("/v1/jobs", headers={"X-Creator-Id": str(stranger.id)})
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.not_a_service")


def test_no_key_is_logged(
    connect: Connect, creator: User, make_key: MakeKey, sessions: Sessions, capfd: pytest.CaptureFixture[str]
) -> None:
    key = make_key(creator)
    connect(key).get("/v1/jobs")
    connect(key).post("/v1/uploads", json={})
    with sessions.begin() as session:
        session.execute(text("UPDATE api_keys SET scopes = '{x}'"))  # a row that this code cannot read
    assert connect(key).get("/v1/jobs").json()["code"] == "internal"
    out, err = capfd.readouterr()
    assert "request.failed" in out + err, "it was noted"
    assert key.split("_")[2] not in out + err
