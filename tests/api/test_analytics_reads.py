"""GET /v1/analytics/...: a creator's own figures, kept for a while; the platform's with a scope."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from huntaze.api.services import Services
from huntaze.clients import read_cache
from huntaze.clients.ai import shared_state
from huntaze.clients.read_cache import ReadCache
from huntaze.models.database import Sessions
from huntaze.models.users import Scope, User
from huntaze.setting_groups import RedisSettings
from huntaze.settings import Settings
from tests.api.conftest import Connect
from tests.models.raw_facts import load, roll_all
from tests.models.test_analytics_reads import START, fact

MARCH = {"from": "2024-03-01", "to": "2024-03-31"}
READS = {
    "summary": MARCH,
    "compare": MARCH,
    "series": MARCH | {"metric": "messages.sent"},
    "top": MARCH,
    "cohorts": {"months": 2, "to": "2024-03-31"},
}


def value(answer: httpx.Response, name: str) -> object:
    return next(one["value"] for one in answer.json()["figures"] if one["name"] == name)


def test_a_creator_reads_its_own(api: httpx.Client, other: httpx.Client, creator: User, sessions: Sessions) -> None:
    load(sessions, creator.id, [fact(number, START) for number in range(10)])
    load(sessions, creator.id, [fact(number, START, "content.views", label="🏖 beach.mp4") for number in range(3)])
    roll_all(sessions)
    told = {name: api.get(f"/v1/analytics/{name}", params=params) for name, params in READS.items()}
    assert {answer.status_code for answer in told.values()} == {200}, {n: a.text for n, a in told.items()}
    assert value(told["summary"], "messages.sent") == value(told["compare"], "messages.sent") == 10
    assert sum(point["count"] for point in told["series"].json()["points"]) == 10
    assert len(told["series"].json()["points"]) == 31
    assert told["top"].json()["rows"] == [{"label": "🏖 beach.mp4", "count": 3, "total": 0}]
    assert told["cohorts"].json()["cohorts"][-1]["retained"] == [7]
    foreign = other.get("/v1/analytics/summary", params=MARCH)
    assert value(foreign, "messages.sent") == 0
    assert other.get("/v1/analytics/top", params=MARCH).json()["rows"] == []
    named = api.get("/v1/analytics/summary", params=MARCH, headers={"X-Creator-Id": str(creator.id)})
    assert named.status_code == 200


def test_what_is_known_is_not_sent_again_until_late_data_lands(
    api: httpx.Client, creator: User, sessions: Sessions
) -> None:
    load(sessions, creator.id, [fact(1, START)])
    roll_all(sessions)
    first = api.get("/v1/analytics/summary", params=MARCH)
    known = {"If-None-Match": f'"x", W/{first.headers["ETag"]}'}
    again = api.get("/v1/analytics/summary", params=MARCH, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    load(sessions, creator.id, [fact(2, START - timedelta(days=5))])
    roll_all(sessions)
    late = api.get("/v1/analytics/summary", params=MARCH, headers=known)
    assert (late.status_code, value(late, "messages.sent")) == (200, 2)


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("summary", {"from": "2024-03-02", "to": "2024-03-01"}, "to"),
        ("summary", {"zone": "../../etc/passwd"}, "zone"),
        ("summary", {"from": "x"}, "from"),
        ("summary", {"from": "2010-01-01", "to": "2010-01-02"}, "from"),
        ("series", {"metric": "transactions"}, "metric"),
        ("series", {"metric": "logins", "granularity": "hour", **MARCH, "to": "2024-04-30"}, "granularity"),
        ("top", {"metric": "logins"}, "metric"),
        ("cohorts", {"months": 99}, "months"),
    ],
)
def test_what_cannot_be_read_is_named(api: httpx.Client, path: str, params: dict[str, str], field: str) -> None:
    answer = api.get(f"/v1/analytics/{path}", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), answer.text


def test_the_platform_needs_its_scope(
    api: httpx.Client, connect: Connect, make_key: Callable[..., str], creator: User, sessions: Sessions
) -> None:
    load(sessions, creator.id, [fact(number, START) for number in range(10)])
    roll_all(sessions)
    assert api.get("/v1/analytics/platform", params=MARCH).json()["code"] == "auth.scope_missing"
    assert connect(make_key(None, Scope.READ, Scope.ACT_FOR)).get("/v1/analytics/platform").status_code == 403
    told = connect(make_key(None, Scope.PLATFORM)).get("/v1/analytics/platform", params=MARCH)
    assert told.status_code == 200, told.text
    assert [value(told, name) for name in ("users.active", "messages.sent", "ai.error_rate")] == [1, 10, None]
    long = connect(make_key(None, Scope.PLATFORM)).get("/v1/analytics/platform", params=MARCH | {"to": "2024-12-31"})
    assert long.status_code == 422


def test_one_makes_an_answer_and_the_others_get_it(settings: Settings) -> None:
    cache, made = ReadCache(settings.redis), []

    def make() -> bytes:
        made.append(cache._turn)  # while it is made nobody else has the turn
        return b"answer"

    assert [cache.answer("once", make) for _ in range(3)] == [b"answer"] * 3
    assert len(made) == 1


def test_a_hundred_who_ask_at_once_are_told_what_one_has_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_state, "ANSWER_S", 30.0)  # a busy machine is no Redis that is away
    monkeypatch.setattr(read_cache, "WAIT_S", 60.0)
    cache, readers = ReadCache(settings.redis), 100
    asking, made = threading.Semaphore(0), []

    def make() -> bytes:
        made.append(1)
        for _ in range(readers):
            assert asking.acquire(timeout=30)  # until all of them ask
        return b"answer"

    def ask(_: int) -> bytes:
        asking.release()
        return cache.answer("a hundred", make)

    with ThreadPoolExecutor(readers) as pool:
        assert set(pool.map(ask, range(readers))) == {b"answer"}
    assert len(made) == 1


def test_reads_go_on_without_redis() -> None:
    nobody = RedisSettings(url="redis://127.0.0.1:9/0")  # type: ignore[arg-type]
    cache = ReadCache(nobody)
    assert [cache.answer("key", lambda: b"made") for _ in range(3)] == [b"made"] * 3
    assert "reads" in Services.__dataclass_fields__
