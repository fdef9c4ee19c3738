"""From a scrape to recommendations, through the fleet: what `demo` does after the video."""

import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from huntaze.cli import trend_jobs
from huntaze.cli.api_client import ApiClient, ApiError
from huntaze.models import job_store
from huntaze.models.database import Sessions
from huntaze.models.jobs import ENDED, Job, JobState

Note = Callable[[str, float], None]
T = TypeVar("T")

# So many posts that hours of more than two days are known: before, the detector does not know what is usual.
SOURCE: dict[str, Any] = {
    "platform": "tiktok",
    "query": "#ootd",
    "region": "DE",
    "max_items": 2000,
    "max_charge_micro_usd": 700_000,
}
_TRENDS, _HOURS = 4, 24  # that are shown
_PATIENCE_S, _LOOK_S = 60.0, 0.2
_UNDER_WAY = ("source.too_soon", "source.running")
_LIVE = ("intended", "started", "collecting")


@dataclass(frozen=True)
class TrendFacts:
    """What became of a scrape. `problems` is empty exactly if every stage truly ran."""

    source: dict[str, Any]
    run: dict[str, Any]
    detection: dict[str, Any]  # of the job: {state, hours, topics, alarms, trends}
    trends: list[dict[str, Any]]  # the newest
    series: list[int]  # of the first: posts of its last day's hours, those that are unknown left out
    recommendations: list[dict[str, Any]]
    stages: dict[str, float]  # seconds
    total_s: float
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def run_trend_demo(api: ApiClient, sessions: Sessions, creator_id: str, note: Note) -> TrendFacts:
    """Adds a source, runs it, has what it brought scored and recommended. `note(stage, fraction)` as it goes.

    The schedule would do it within hours; here its own jobs are asked for at once. Raises ApiError.
    """
    begun, stages = time.perf_counter(), dict[str, float]()
    source = _source(api)
    run = _timed(stages, "scrape and collect", lambda: _scraped(api, source["id"], note))
    detected = _timed(stages, "detect", lambda: _job(sessions, note, "detect"))
    whose = uuid.UUID(creator_id)
    recommended = _timed(stages, "recommend", lambda: _job(sessions, note, "recommend", whose))
    trends = api.get("/v1/trends?platform=tiktok&sort=newest")["trends"][:_TRENDS]
    hours = api.get(f"/v1/trends/{trends[0]['id']}")["series"] if trends else []
    recommendations = api.get("/v1/recommendations")["recommendations"]
    return TrendFacts(
        source=source,
        run=run,
        detection={"state": detected.state, **(detected.result or {})},
        trends=trends,
        series=[hour["posts"] for hour in hours][-_HOURS:],
        recommendations=recommendations,
        stages=stages,
        total_s=round(time.perf_counter() - begun, 3),
        problems=_problems(run, [detected, recommended], trends, recommendations),
    )


def _timed(stages: dict[str, float], stage: str, work: Callable[[], T]) -> T:
    begun = time.perf_counter()
    done = work()
    stages[stage] = round(time.perf_counter() - begun, 3)
    return done


def _source(api: ApiClient) -> dict[str, Any]:
    """The demo's own source, made where there is none of an earlier run."""
    try:
        made: dict[str, Any] = api.post("/v1/sources", SOURCE)
    except ApiError as error:
        if error.code != "source.exists":
            raise
        same = ("platform", "query", "region")
        found = api.get("/v1/sources?platform=tiktok&limit=100")["sources"]
        return next(one for one in found if one["own"] and all(one[name] == SOURCE[name] for name in same))
    return made


def _scraped(api: ApiClient, source_id: str, note: Note) -> dict[str, Any]:
    """A run at its end; where the last one is too fresh for another, that one."""
    note("trends: scrape", 0.1)
    runs = f"/v1/sources/{source_id}/runs"
    try:
        api.post(runs)
    except ApiError as error:
        if error.code not in _UNDER_WAY:
            raise
    started = time.monotonic()
    while True:
        run: dict[str, Any] = api.get(runs)["runs"][0]
        if run["state"] not in _LIVE:
            return run
        _wait(started, "The scrape")
        note(f"trends: {'collect' if run['state'] == 'collecting' else 'scrape'}", 0.3)


def _job(sessions: Sessions, note: Note, stage: str, creator_id: uuid.UUID | None = None) -> Job:
    """A job of the clock's, asked for at once, at its end."""
    with sessions.begin() as session:
        now = job_store.db_now(session)
        job = trend_jobs.recommend(session, now, creator_id) if creator_id else trend_jobs.detect(session, now)
        job_id = job.id
    started = time.monotonic()
    while True:
        with sessions() as session:
            seen = job_store.get(session, job_id)
        assert seen is not None
        note(f"trends: {stage}", seen.progress)
        if seen.state in ENDED:
            return seen
        _wait(started, f"The job {job_id} ({seen.kind})")


def _wait(started: float, what: str) -> None:
    if time.monotonic() - started > _PATIENCE_S:
        raise ApiError(f"{what} has not ended after {_PATIENCE_S:.0f} s; is a worker running?")
    time.sleep(_LOOK_S)


def _problems(
    run: dict[str, Any], jobs: list[Job], trends: list[dict[str, Any]], recommendations: list[dict[str, Any]]
) -> list[str]:
    """What did not run, if anything: each stage is asked for by what only it leaves behind."""
    checks = {
        "the scrape brought no sample": run["verdict"] == "sample" and run["posts"] > 0,
        "not every job of trends succeeded": all(job.state == JobState.SUCCEEDED for job in jobs),
        "no trend was found": bool(trends),
        "nothing was recommended": bool(recommendations),
        "a recommendation gives no figures": all(one["why"]["posts"] > 0 for one in recommendations),
        "a recommendation has no idea": all(one["idea"]["text"] for one in recommendations),
        "no recommendation shows a post": any(one["examples"] for one in recommendations),
    }
    return [problem for problem, fine in checks.items() if not fine]
