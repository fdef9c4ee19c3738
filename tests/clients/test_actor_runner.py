"""Whoever runs scrapers: the twin and Apify's HTTP behave alike; over HTTP, no start is sent twice."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from huntaze.cli.sandbox_apify import Faults, Vendor
from huntaze.clients.apify import hooks
from huntaze.clients.apify.http import HttpActorRunner
from huntaze.clients.apify.runner import ActorRunner, NoSuchRun, RunOrder, StartUnclear
from huntaze.clients.apify.twin import MemoryActorRunner
from huntaze.pipelines.errors import HuntazeError, Permanent, Transient
from huntaze.setting_groups import ApifySettings
from tests.clients.vendor import serving
from tests.waiting import until

ORDER = RunOrder("clockworks/tiktok-scraper", {"hashtags": ["ootd"]}, "mark-1", 40, 500_000, 1024, 900)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor(run_s=0.0)


@pytest.fixture(scope="module")
def base_url(vendor: Vendor) -> Iterator[str]:
    with serving(vendor) as url:
        yield url


def over_http(base_url: str, **options: Any) -> HttpActorRunner:
    settings = ApifySettings(base_url=base_url, token=SecretStr("secret-token"), timeout_s=5)
    return HttpActorRunner(settings, **{"wait": lambda seconds: None, **options})


@pytest.fixture(params=["twin", "http"])
def runner(request: pytest.FixtureRequest, vendor: Vendor, base_url: str) -> Iterator[ActorRunner]:
    if request.param == "twin":
        yield MemoryActorRunner()
        return
    vendor.faults, vendor.runs = Faults(), {}
    http = over_http(base_url)
    yield http
    http.close()


def answered(answer: Answer, waits: list[float] | None = None) -> HttpActorRunner:
    """A client of a server that is a function; `waits` gets the seconds between tries."""
    http = httpx.Client(transport=httpx.MockTransport(answer))
    return over_http("http://vendor", http=http, wait=(waits if waits is not None else []).append)


def run_json(**fields: Any) -> dict[str, Any]:
    run = {"id": "r1", "status": "READY", "startedAt": "2026-10-01T10:00:00.000Z", "defaultDatasetId": "d1"}
    return {"data": {**run, **fields}}


def test_a_run_is_started_found_and_read(runner: ActorRunner) -> None:
    run = runner.start(ORDER)
    if isinstance(runner, MemoryActorRunner):
        runner.end(run.id, [{"id": n} for n in range(40)])
    seen = runner.get(run.id)
    assert (seen.id, seen.ended, seen.succeeded) == (run.id, True, True)
    assert (seen.cost_micro_usd or 0) > 0
    (found,) = runner.recent(ORDER.actor, LONG_AGO)
    assert found.id == run.id
    assert runner.is_of(found, ORDER)
    assert not runner.is_of(found, replace(ORDER, mark="mark-2"))
    unmarked = replace(found, mark=None)  # a vendor that does not tell who asked
    assert runner.is_of(unmarked, ORDER)
    assert not runner.is_of(unmarked, replace(ORDER, input={"hashtags": ["other"]}))
    assert list(runner.recent(ORDER.actor, datetime.now(UTC) + timedelta(minutes=1))) == []
    pages = [runner.items(seen.dataset_id, offset, 15) for offset in (0, 15, 30, 45)]
    assert [len(page.items) for page in pages] == [15, 15, 10, 0]
    assert {page.total for page in pages} == {40}


def test_a_clean_page_covers_more_than_it_holds(runner: ActorRunner, vendor: Vendor) -> None:
    run = runner.start(ORDER)
    if isinstance(runner, MemoryActorRunner):
        runner.skipped = lambda at: at % 7 == 0
        runner.end(run.id, [{"id": n} for n in range(46)])
    vendor.faults = Faults(short_pages=True)
    first = runner.items(run.dataset_id, 0, 20)
    assert len(first.items) < 20
    assert (first.next_offset, first.total) == (20, 46)


def test_what_is_not_there(runner: ActorRunner) -> None:
    with pytest.raises(NoSuchRun):
        runner.get("nobody")
    with pytest.raises(NoSuchRun):
        runner.items("nowhere", 0, 1)


def test_a_run_is_asked_to_end(runner: ActorRunner, vendor: Vendor) -> None:
    vendor.run_s = 60.0
    run = runner.start(ORDER)
    vendor.run_s = 0.0
    runner.abort(run.id)
    runner.abort(run.id)
    assert runner.get(run.id).status in ("ABORTING", "ABORTED")


@pytest.mark.parametrize("fault", ["start_502", "start_lost"])
def test_a_start_that_was_answered_with_502_is_not_sent_again(vendor: Vendor, base_url: str, fault: str) -> None:
    vendor.faults, vendor.runs = Faults(**{fault: 1}), {}  # type: ignore[arg-type]
    with closing(over_http(base_url)) as runner, pytest.raises(StartUnclear):
        runner.start(ORDER)
    assert len(vendor.runs) == (1 if fault == "start_502" else 0)
    assert not getattr(vendor.faults, fault)


@pytest.mark.parametrize(
    "fault", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("gone"), httpx.WriteError("gone")]
)
def test_a_start_whose_connection_broke_is_not_sent_again(fault: Exception) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise fault

    with pytest.raises(StartUnclear):
        answered(answer).start(ORDER)
    assert len(sent) == 1


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 201), (b'{"data": {}}', 201), (b"{}", 200), (b"", 302)])
def test_a_start_whose_answer_cannot_be_read_is_not_sent_again(body: bytes, status: int) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(status, content=body, headers={"Location": "http://elsewhere"})

    with pytest.raises(StartUnclear):
        answered(answer).start(ORDER)
    assert len(sent) == 1


def test_where_nothing_was_done_a_start_is_sent_again() -> None:
    faults: list[Any] = [httpx.ConnectError("refused"), httpx.Response(429), httpx.Response(429)]
    waits: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if not faults:
            return httpx.Response(201, json=run_json())
        fault = faults.pop(0)
        if isinstance(fault, Exception):
            raise fault
        return fault

    assert answered(answer, waits).start(ORDER).id == "r1"
    assert len(waits) == 3
    assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.5, 1.0, 2.0), strict=True))


def test_a_vendor_that_stays_busy_is_no_doubt() -> None:
    with pytest.raises(Transient) as caught:
        answered(lambda request: httpx.Response(429)).start(ORDER)
    assert caught.value.code == "apify.rate_limited"
    assert not isinstance(caught.value, StartUnclear)


def test_reads_are_tried_again() -> None:
    answers = [httpx.Response(503), httpx.Response(429), httpx.Response(200, json=run_json(usageTotalUsd=0.0000014))]
    assert answered(lambda request: answers.pop(0)).get("r1").cost_micro_usd == 2  # rounded up
    with pytest.raises(Transient, match="unavailable"):
        answered(lambda request: httpx.Response(500)).get("r1")


@pytest.mark.parametrize(
    ("status", "code"), [(400, "refused"), (401, "refused"), (402, "refused"), (403, "refused"), (404, "not_found")]
)
def test_a_refusal_is_final_and_quotes_nothing(status: int, code: str) -> None:
    with pytest.raises(Permanent) as caught:
        answered(lambda request: httpx.Response(status, text="secret-token")).start(ORDER)
    assert caught.value.code == f"apify.{code}"
    assert "secret-token" not in str(caught.value)


def test_a_start_says_all_that_bounds_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json=run_json())

    answered(answer).start(replace(ORDER, build="0.0.7", webhook_url="https://here/hook"))
    (request,) = seen
    assert request.url.path == "/v2/actors/clockworks~tiktok-scraper/runs"
    asked = dict(request.url.params)
    assert json.loads(base64.b64decode(asked.pop("webhooks")))[0]["requestUrl"] == "https://here/hook"
    assert asked == {"timeout": "900", "memory": "1024", "maxItems": "40", "maxTotalChargeUsd": "0.5", "build": "0.0.7"}
    assert json.loads(request.content) == ORDER.input
    assert request.headers["authorization"] == "Bearer secret-token"
    assert "secret-token" not in str(request.url)


@pytest.mark.parametrize("id", ["../users/me", "a/b", "..", "a?token=x", "a#b"])
def test_an_id_is_never_a_way_elsewhere(id: str) -> None:
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(404)

    with pytest.raises(HuntazeError):
        answered(answer).get(id)
    assert paths[0].startswith(b"/v2/actor-runs/")
    assert paths[0].count(b"/") == 3
    assert b"?" not in paths[0]


def test_a_page_says_where_it_ends_or_is_not_believed() -> None:
    def answer(total: str | None, limit: str | None = None) -> Answer:
        headers = {"x-apify-pagination-total": total, "x-apify-pagination-limit": limit}
        told = {name: value for name, value in headers.items() if value is not None}
        return lambda request: httpx.Response(200, json=[{"id": 1}], headers=told)

    assert answered(answer("10", "5")).items("d", 0, 8).next_offset == 5  # a server that covers less than was asked for
    assert answered(answer("10")).items("d", 4, 3).next_offset == 7
    for total in (None, "many", "-1"):
        with pytest.raises(Transient, match="bad_response"):
            answered(answer(total)).items("d", 0, 8)


def test_the_vendor_delivers_webhooks_as_told(vendor: Vendor, base_url: str) -> None:
    vendor.faults, vendor.runs, vendor.dispatches = Faults(duplicate_webhooks=2), {}, 0
    with closing(over_http(base_url)) as runner:
        runner.start(replace(ORDER, webhook_url=f"{base_url}/nobody"))
    until(lambda: vendor.dispatches, "the dispatch", 10)


def test_each_run_has_a_secret_of_its_own() -> None:
    settings = ApifySettings(webhook_secret=SecretStr("s" * 16), webhook_url="https://api.example.com/")
    one, other = uuid.uuid4(), uuid.uuid4()
    token = hooks.hook_token(settings, one)
    assert token is not None
    assert hooks.hook_url(settings, one) == f"https://api.example.com/v1/apify-webhooks/{one}/{token}"
    assert hooks.is_token(settings, one, token)
    for wrong in (hooks.hook_token(settings, other) or "", "", token[:-1], "é\ud800"):
        assert not hooks.is_token(settings, one, wrong)
    assert not hooks.is_token(ApifySettings(), one, token)
    assert hooks.hook_url(ApifySettings(webhook_secret=SecretStr("s" * 16)), one) is None
