"""A stand-in for Apify on a developer's machine: the part of its API that we speak, no scraper behind it.

Its posts are made up and say so. `PUT /faults` makes it as unpleasant as the real thing can be. State is in memory.
`python -m huntaze.cli.sandbox_apify --port 8011`
"""

import argparse
import asyncio
import base64
import binascii
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from huntaze.cli.sandbox_posts import make_items

_ITEM_USD = 0.0003
_HIDDEN = 7  # with short pages, every so many rows are empty and left out of a clean page
_EVENTS = {"SUCCEEDED": "ACTOR.RUN.SUCCEEDED", "ABORTED": "ACTOR.RUN.ABORTED"}
Route_ = Callable[[Request], Awaitable[Response]]


@dataclass
class Faults:
    """What goes wrong. Numbers count down, switches stay."""

    start_502: int = 0  # so many starts make a run and answer 502
    start_lost: int = 0  # so many starts make none and answer 502
    rate_limited: int = 0  # so many calls are answered with 429
    unavailable: int = 0  # so many reads are answered with 503
    short_pages: bool = False
    duplicate_webhooks: int = 0  # times that each dispatch is delivered again
    late_webhooks_s: float = 0.0
    no_webhooks: bool = False
    schema_drift: bool = False  # figures have another name
    no_results: bool = False  # the run succeeds and tells that it found nothing

    def takes(self, name: str) -> bool:
        """Whether it goes wrong this time."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0


@dataclass
class Run:
    """A run: its end follows from the clock."""

    id: str
    actor: str
    input: dict[str, Any]
    options: dict[str, str]
    agent: str
    hooks: list[dict[str, Any]]
    started: float
    ends: float
    items: list[dict[str, Any]]
    aborted: bool = False

    def as_json(self) -> dict[str, Any]:
        status = "ABORTED" if self.aborted else "SUCCEEDED" if time.time() >= self.ends else "RUNNING"
        iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.started))
        return {
            "id": self.id,
            "actId": self.actor,
            "status": status,
            "startedAt": f"{iso}.{int(self.started % 1 * 1000):03}Z",
            "defaultDatasetId": f"set{self.id}",
            "defaultKeyValueStoreId": f"store{self.id}",
            "buildNumber": self.options.get("build", "0.0.1"),
            "usageTotalUsd": round(0.001 + _ITEM_USD * len(self.items), 6) if status != "RUNNING" else 0.001,
            "meta": {"origin": "API", "userAgent": self.agent},
            "options": self.options,
        }


@dataclass
class Vendor:
    """All that the sandbox knows."""

    run_s: float = 1.0
    faults: Faults = field(default_factory=Faults)
    runs: dict[str, Run] = field(default_factory=dict)
    dispatches: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, request: Request) -> Response:
        if self.faults.takes("start_lost"):
            return _wrong(502)
        actor, asked = str(request.path_params["actor"]).replace("~", "/"), await request.json()
        now, options = time.time(), {key: value for key, value in request.query_params.items() if key != "webhooks"}
        most = min(int(options.get("maxItems", 100)), int(float(options.get("maxTotalChargeUsd", 1)) / _ITEM_USD))
        hooks, agent = _hooks(request.query_params.get("webhooks")), request.headers.get("user-agent", "")
        id = f"sandbox{len(self.runs) + 1:05}{int(now * 1000):x}"
        items = self._items(actor, asked, most, now)
        self.runs[id] = run = Run(id, actor, asked, options, agent, hooks, now, now + self.run_s, items)
        task = asyncio.create_task(self._tell(run))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return _wrong(502) if self.faults.takes("start_502") else JSONResponse({"data": run.as_json()}, 201)

    def _items(self, actor: str, asked: dict[str, Any], most: int, now: float) -> list[dict[str, Any]]:
        if self.faults.no_results:
            return [{"noResults": True}]
        items = make_items(actor, asked, most, now)
        if self.faults.schema_drift:
            return [
                {(f"{name}Total" if name.endswith("Count") else name): v for name, v in one.items()} for one in items
            ]
        return items

    async def _tell(self, run: Run) -> None:
        """Delivers a run's webhooks after its end, as often and as late as it was told to."""
        await asyncio.sleep(max(run.ends - time.time(), 0) + self.faults.late_webhooks_s)
        if self.faults.no_webhooks:
            return
        told = run.as_json()
        event = _EVENTS[told["status"]]
        async with httpx.AsyncClient(timeout=5, trust_env=False, verify=False) as http:  # noqa: S501 - loopback
            for hook in run.hooks:
                self.dispatches += 1
                headers = {"X-Apify-Webhook-Dispatch-Id": f"dispatch{run.id}-{self.dispatches}"}
                body = {"eventType": event, "eventData": {"actorRunId": run.id}, "resource": told}
                for _ in range(1 + self.faults.duplicate_webhooks):
                    with suppress(httpx.HTTPError):  # it polls, too
                        await http.post(hook["requestUrl"], json=body, headers=headers)

    async def runs_of(self, request: Request) -> Response:
        actor, asked = str(request.path_params["actor"]).replace("~", "/"), request.query_params
        found = [run for run in self.runs.values() if run.actor == actor]
        found.sort(key=lambda run: run.started, reverse=asked.get("desc") in ("1", "true"))
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 1000))
        page = [run.as_json() for run in found[offset : offset + limit]]
        return JSONResponse({"data": {"items": page, "total": len(found), "offset": offset, "limit": limit}})

    async def show(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["id"])
        return _wrong(404) if run is None else JSONResponse({"data": run.as_json()})

    async def abort(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["id"])
        if run is None:
            return _wrong(404)
        run.aborted = run.aborted or time.time() < run.ends
        return JSONResponse({"data": run.as_json()})

    async def input(self, request: Request) -> Response:
        run = self.runs.get(str(request.path_params["id"]).removeprefix("store"))
        return _wrong(404) if run is None else JSONResponse(run.input)

    async def items(self, request: Request) -> Response:
        run, asked = self.runs.get(str(request.path_params["id"]).removeprefix("set")), request.query_params
        if run is None:
            return _wrong(404)
        rows: list[Any] = list(run.items)
        if self.faults.short_pages:  # empty rows among the others, which a clean page leaves out
            rows = [row for at, item in enumerate(rows) for row in ([{}, item] if at % _HIDDEN == 0 else [item])]
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 250_000))
        page = rows[offset : offset + limit]
        clean = [row for row in page if row] if asked.get("clean") in ("1", "true") else page
        told = {"Total": len(rows), "Offset": offset, "Limit": limit, "Count": len(clean)}
        headers = {f"X-Apify-Pagination-{name}": str(value) for name, value in told.items()}
        return JSONResponse(clean, headers=headers)

    async def set_faults(self, request: Request) -> Response:
        known, asked = {one.name for one in fields(Faults)}, await request.json()
        if not isinstance(asked, dict) or not asked.keys() <= known:
            return JSONResponse({"error": {"message": f"there are: {', '.join(sorted(known))}"}}, 400)
        self.faults = Faults(**asked)
        return JSONResponse(asdict(self.faults))

    def guarded(self, route: Route_, *, reads: bool = True) -> Route_:
        """The faults that any call can meet."""

        async def call(request: Request) -> Response:
            if self.faults.takes("rate_limited"):
                return _wrong(429)
            if reads and self.faults.takes("unavailable"):
                return _wrong(503)
            return await route(request)

        return call


def _wrong(status: int) -> Response:
    return JSONResponse({"error": {"type": "sandbox", "message": "as you asked for"}}, status)


def _hooks(encoded: str | None) -> list[dict[str, Any]]:
    try:
        found = json.loads(base64.b64decode(encoded or "W10="))
    except (ValueError, binascii.Error):
        return []
    return [hook for hook in found if isinstance(hook, dict) and "requestUrl" in hook]


def build_app(vendor: Vendor | None = None) -> Starlette:
    """The server; `/healthz` and `/faults` are its own, the rest is Apify's."""
    vendor = vendor or Vendor()

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    runs = "/v2/actors/{actor}/runs"
    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/faults", vendor.set_faults, methods=["PUT"]),
            Route(runs, vendor.guarded(vendor.start, reads=False), methods=["POST"]),
            Route(runs, vendor.guarded(vendor.runs_of), methods=["GET"]),
            Route("/v2/actor-runs/{id}", vendor.guarded(vendor.show)),
            Route("/v2/actor-runs/{id}/abort", vendor.guarded(vendor.abort), methods=["POST"]),
            Route("/v2/key-value-stores/{id}/records/INPUT", vendor.guarded(vendor.input)),
            Route("/v2/datasets/{id}/items", vendor.guarded(vendor.items)),
        ]
    )


def main() -> None:
    """Serves on loopback until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(build_app(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
