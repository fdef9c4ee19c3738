"""Apify's API by httpx alone: its own client repeats a start after a 502, which starts, and bills, twice."""

import base64
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from huntaze import tracing
from huntaze.clients.apify.runner import ActorRun, ItemPage, NoSuchRun, RunOrder, StartUnclear
from huntaze.clients.apify.wire import (
    AGENT,
    MICRO,
    actor_path,
    parse_data,
    parse_json,
    parse_list,
    parse_run,
    part,
    unreadable,
    whole,
)
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.setting_groups import ApifySettings

EVENTS = ("ACTOR.RUN.SUCCEEDED", "ACTOR.RUN.FAILED", "ACTOR.RUN.TIMED_OUT", "ACTOR.RUN.ABORTED")
_TRIES = 5
_FIRST_WAIT_S = 0.5  # a random time up to twice as long, doubling: what the vendor asks of those it answers with 429
_MOST_BYTES = 64 << 20
_RUNS_A_PAGE = 100
_RUNS_MOST = 1000  # of one look back

Wait = Callable[[float], object]


class HttpActorRunner:
    """`wait` is for tests: it gets the seconds between two tries."""

    def __init__(self, settings: ApifySettings, http: httpx.Client | None = None, wait: Wait | None = None) -> None:
        self._base = settings.base_url.rstrip("/")
        token = None if settings.token is None else settings.token.get_secret_value()
        self._headers = {"User-Agent": AGENT} | ({} if token is None else {"Authorization": f"Bearer {token}"})
        self._timeout_s = settings.timeout_s
        timeout = httpx.Timeout(settings.timeout_s, connect=5.0)
        self._http = http or httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        self._wait = wait or threading.Event().wait

    def start(self, order: RunOrder) -> ActorRun:
        asked: dict[str, str | int | float] = {
            "timeout": order.timeout_s,
            "memory": order.memory_mb,
            "maxItems": order.max_items,
            "maxTotalChargeUsd": str(Decimal(order.max_charge_micro_usd) / MICRO),
        }
        if order.build is not None:
            asked["build"] = order.build
        if order.webhook_url is not None:
            hook = [{"eventTypes": EVENTS, "requestUrl": order.webhook_url}]
            asked["webhooks"] = base64.b64encode(json.dumps(hook).encode()).decode()
        path, agent = f"/v2/actors/{actor_path(order.actor)}/runs", {"User-Agent": f"{AGENT} run/{order.mark}"}
        _, body = self._call("POST", path, asked, order.input, headers=agent, once=True)
        try:
            return parse_run(parse_data(body))
        except Transient as error:
            raise StartUnclear("the answer could not be read") from error

    def get(self, run_id: str) -> ActorRun:
        return parse_run(parse_data(self._call("GET", f"/v2/actor-runs/{part(run_id)}")[1]))

    def recent(self, actor: str, since: datetime) -> Iterator[ActorRun]:
        for offset in range(0, _RUNS_MOST, _RUNS_A_PAGE):
            asked: dict[str, str | int | float] = {"desc": 1, "limit": _RUNS_A_PAGE, "offset": offset}
            found = parse_data(self._call("GET", f"/v2/actors/{actor_path(actor)}/runs", asked)[1])
            runs = [parse_run(one) for one in parse_list(found.get("items"))]
            for run in runs:
                if run.started_at < since:
                    return
                yield run
            if not runs or offset + len(runs) >= whole(found.get("total"), offset + len(runs)):
                return
        raise Transient("apify.too_many_runs", "The actor has had too many runs to look for ours among them.")

    def is_of(self, run: ActorRun, order: RunOrder) -> bool:
        if run.mark is not None:
            return run.mark == order.mark
        if run.input_store_id is None:
            return False
        path = f"/v2/key-value-stores/{part(run.input_store_id)}/records/INPUT"
        try:
            return bool(parse_json(self._call("GET", path)[1]) == order.input)
        except NoSuchRun:
            return False

    def items(self, dataset_id: str, offset: int, limit: int) -> ItemPage:
        asked: dict[str, str | int | float] = {"offset": offset, "limit": limit, "clean": "true", "format": "json"}
        response, body = self._call("GET", f"/v2/datasets/{part(dataset_id)}/items", asked)
        found = parse_json(body)
        if not isinstance(found, list):
            raise unreadable()
        total = whole(response.headers.get("x-apify-pagination-total"), None)
        # What the page covers, which is more than it holds where empty rows were left out of it.
        covered = min(whole(response.headers.get("x-apify-pagination-limit"), limit), limit)
        return ItemPage(found, offset, offset + max(covered, len(found), 1), total)

    def abort(self, run_id: str) -> None:
        self._call("POST", f"/v2/actor-runs/{part(run_id)}/abort")

    def close(self) -> None:
        self._http.close()

    def _call(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str | int | float] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> tuple[httpx.Response, bytes]:
        """One call, tried again while that can help. `once`: only as long as the vendor certainly did nothing, which is
        after a 429 or where no connection came about. Raises StartUnclear for `once` where that is not certain."""
        wait_s, own = _FIRST_WAIT_S, {**self._headers, **(headers or {})}
        for left in reversed(range(_TRIES)):
            try:
                response, read = self._send(method, path, asked, body, own)
                _raise_for(response, path, once=once)
                return response, read
            except StartUnclear:
                raise
            except Transient as error:
                certain = not once or error.code in ("apify.rate_limited", "apify.unreachable")
                if not certain:
                    raise StartUnclear(error.message.rstrip(".")) from error
                if not left:
                    raise
                self._wait(random.uniform(wait_s, 2 * wait_s))  # noqa: S311 - not a secret
                wait_s *= 2
        raise AssertionError("unreachable")

    def _send(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str | int | float] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
    ) -> tuple[httpx.Response, bytes]:
        url, end = f"{self._base}{path}", time.monotonic() + 4 * self._timeout_s
        call = tracing.span("apify", {"server.address": httpx.URL(url).host}, outbound=True)
        try:
            with call, self._http.stream(method, url, params=asked, json=body, headers=headers) as response:
                tracing.note({"http.response.status_code": response.status_code})
                return response, _read(response, end)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Transient("apify.unreachable", "Apify cannot be reached.") from error
        except httpx.TimeoutException as error:
            raise Transient("apify.timeout", "Apify did not answer in time.") from error
        except httpx.TransportError as error:
            raise Transient("apify.unavailable", "The connection to Apify broke.") from error


def _read(response: httpx.Response, end: float) -> bytes:
    """The body, within the time (monotonic) and a bound on its size."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if time.monotonic() > end:
            raise Transient("apify.timeout", "Apify did not answer in time.")
        if len(body) > _MOST_BYTES:
            raise Transient("apify.bad_response", "Apify sent more than a page can be.")
    return bytes(body)


def _raise_for(response: httpx.Response, path: str, *, once: bool) -> None:
    """The one table from the vendor's answers to our errors. Bodies are not quoted: they may echo what was sent."""
    status = response.status_code
    if status in (200, 201):
        return
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Transient("apify.rate_limited", "Apify asks to wait.")
    if status >= 500 or status in (httpx.codes.REQUEST_TIMEOUT, 409, 423) or status < 400:
        raise Transient("apify.unavailable", f"Apify answered {status}.")
    if status == httpx.codes.NOT_FOUND:
        raise NoSuchRun("such actor or build" if once else f"such {path.split('/')[2].removesuffix('s')}")
    hint = {401: " Check HUNTAZE_APIFY_TOKEN.", 402: " The account has no credit left.", 403: " Check the account."}
    raise Permanent("apify.refused", f"Apify refused the request ({status}).{hint.get(status, '')}")
