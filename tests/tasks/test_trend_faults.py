"""The sandbox's faults over real HTTP: no row is lost, no run is started twice."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from huntaze.cli.sandbox_apify import Faults, Vendor
from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.apify.http import HttpActorRunner
from huntaze.clients.apify.twin import MemoryActorRunner
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import trend_source_store
from huntaze.models.database import Sessions
from huntaze.models.trend_posts import Post
from huntaze.models.trend_sources import RunState, TrendRun, Verdict
from huntaze.pipelines.trends.posts.sources import SourceSpec
from huntaze.settings import Settings
from huntaze.worker.runtime import build_runtime
from tests.clients.vendor import serving
from tests.tasks.trends import KEYS_TEXT, Fleet
from tests.waiting import until


@pytest.fixture
def vendor() -> Vendor:
    return Vendor(run_s=0.0)


@pytest.fixture
def fleet(settings: Settings, sessions: Sessions, vendor: Vendor) -> Iterator[Fleet]:
    built = build_runtime(settings)
    with serving(vendor) as url:
        made = Fleet(built, MemoryActorRunner())
        made.with_apify(base_url=url, token=SecretStr("t"), author_keys=SecretStr(KEYS_TEXT), unclear_s=0.0)
        actors = HttpActorRunner(made.runtime.settings.apify, wait=lambda seconds: None)
        clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"), actors=actors)
        made.runtime = replace(made.runtime, clients=clients)
        yield made
        actors.close()
    built.sessions.kw["bind"].dispose()


def through(fleet: Fleet, run: TrendRun) -> TrendRun:
    def over() -> TrendRun | None:
        fleet.turn()
        found = fleet.run(run)
        return found if found.state in (RunState.COLLECTED, RunState.FAILED) else None

    found = until(over, "the run's end", 60)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(start_502=1),
        Faults(start_lost=1),
        Faults(start_lost=2),
        Faults(rate_limited=6),
        Faults(unavailable=4),
        Faults(short_pages=True),
        Faults(start_502=1, rate_limited=3, unavailable=7, short_pages=True),
    ],
    ids=str,
)
def test_no_row_is_lost_and_no_run_is_started_twice(
    fleet: Fleet, vendor: Vendor, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huntaze.tasks.trend_collect.PAGE", 50)
    vendor.faults = replace(faults)
    run = through(fleet, fleet.plan(fleet.source(max_items=120)))
    (only,) = vendor.runs.values()
    assert (run.verdict, run.feeds, run.posts) == (Verdict.SAMPLE, True, 120)
    with fleet.sessions() as session:
        assert set(session.scalars(select(Post.native_id))) == {item["id"] for item in only.items}
    assert run.cost_micro_usd == round(1e6 * only.as_json()["usageTotalUsd"])
    assert (fleet.spend().spent, fleet.spend().reserved) == (run.cost_micro_usd, 0)


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "x", "reddit", "youtube", "google_trends"])
def test_every_platform_of_the_sandbox(fleet: Fleet, vendor: Vendor, platform: str) -> None:
    with fleet.sessions.begin() as session:
        source = trend_source_store.create(session, SourceSpec(platform, "#ootd", max_items=30))
    run = through(fleet, fleet.plan(source))
    assert (run.verdict, run.quarantined) == (Verdict.SAMPLE, 0)
    assert run.posts == (1 if platform == "google_trends" else 30)


def test_a_schema_that_drifts_holds_the_source(fleet: Fleet, vendor: Vendor) -> None:
    source = fleet.source(max_items=60)
    assert through(fleet, fleet.plan(source)).feeds
    vendor.faults = Faults(schema_drift=True)
    assert through(fleet, fleet.plan(source)).verdict == Verdict.UNHEALTHY
    vendor.faults = Faults(no_results=True)
    assert through(fleet, fleet.plan(source)).verdict == Verdict.UNKNOWN
