"""One video through the whole fleet, by the API alone, with what is seen on the way."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from huntaze.cli.api_client import ApiClient, ApiError, StreamEvent

_SILENCE_S = 180.0  # without any news for so long the demo gives up
_ENDS = ("succeeded", "failed", "cancelled")
Note = Callable[[str, float], None]


@dataclass(frozen=True)
class Timing:
    """One stage and its seconds, in the order in which they happened."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class DemoFacts:
    """What happened to the video. `problems` is empty exactly if every stage truly ran."""

    file: str
    video_id: str
    job_id: str
    state: str
    jobs: list[dict[str, Any]]
    timings: list[Timing]
    total_s: float
    reading: dict[str, int] | None  # bytes, requests, size
    cells: list[dict[str, Any]]  # cell, time_s
    media: dict[str, Any] | None
    analysis: dict[str, Any] | None
    usage: dict[str, Any] | None
    ledger: dict[str, Any] | None  # what the month's calls of the vision model took, this one among them
    grid: str | None  # path of the picture
    events: list[str]
    error: dict[str, Any] | None
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """For programs: `stages` maps each stage to its seconds."""
        facts = asdict(self)
        facts["stages"] = {timing.stage: timing.seconds for timing in self.timings}
        return facts


def run_demo(api: ApiClient, file: Path, pictures: Path, note: Note, cells: int | None = None) -> DemoFacts:
    """Uploads `file`, has it analysed, follows the stream. `note(stage, fraction)` as it goes. Raises ApiError."""
    begun = time.perf_counter()
    content_id = api.upload(file, lambda sent, size: note("upload", sent / size))
    uploaded = time.perf_counter()
    with api.events() as stream:
        accepted = api.analyze(content_id, cells)
        events = _follow(stream, accepted["id"], note)
    ended = time.perf_counter()
    video = api.get(f"/v1/videos/{accepted['id']}")
    jobs = [api.get(f"/v1/jobs/{id}") for id in dict.fromkeys([accepted["job_id"], video["job_id"]])]
    grid = _fetch_grid(api, video, pictures)
    ledger = next((one for one in api.get("/v1/ai/usage")["roles"] if one["role"] == "vision"), None)
    timings = [Timing("upload", round(uploaded - begun, 3)), *_timings(jobs)]
    names = list(dict.fromkeys(event.type for event in events))
    return DemoFacts(
        file=str(file),
        video_id=video["id"],
        job_id=accepted["job_id"],
        state=video["status"],
        jobs=[{key: job[key] for key in ("id", "kind", "state", "attempt")} for job in jobs],
        timings=timings,
        total_s=round(ended - begun, 3),
        reading=video["reading"],
        cells=video["keyframes"] or [],
        media=video["media"],
        analysis=video["analysis"],
        usage=video["usage"],
        ledger=ledger,
        grid=None if grid is None else str(grid),
        events=names,
        error=video["error"],
        problems=_problems(video, jobs, ledger, grid, names),
    )


def _follow(stream: Iterator[StreamEvent | None], video_id: str, note: Note) -> list[StreamEvent]:
    """Reads the stream up to the event that ends this video."""
    events: list[StreamEvent] = []
    heard = time.monotonic()
    for event in stream:
        if event is None:
            if time.monotonic() - heard > _SILENCE_S:
                raise ApiError(f"Nothing was heard of the video for {_SILENCE_S:.0f} s; is a worker running?")
            continue
        details = event.data["data"]
        # An event tells of the video itself, or of a job that works on it.
        if video_id not in (event.data["subject_id"], details.get("subject_id")):
            continue
        heard = time.monotonic()
        events.append(event)
        if event.type == "job.progress":
            note(f"{details['kind'].removeprefix('video.')}: {details['stage']}", float(details["progress"]))
        if event.type in ("video.analyzed", "video.failed") or details.get("state") == "cancelled":
            return events
    raise ApiError("The event stream ended before the video did.")


def _timings(jobs: list[dict[str, Any]]) -> list[Timing]:
    """The wait of each job for its worker, and the stages that the worker timed."""
    timings = []
    for job in jobs:
        name = job["kind"].removeprefix("video.")
        if job["started_at"]:
            timings.append(Timing(f"{name}: wait for a worker", _seconds(job["created_at"], job["started_at"])))
        for attempt in job["attempts"]:
            timings += [Timing(f"{name}: {stage['name']}", round(stage["seconds"], 3)) for stage in attempt["stages"]]
    return timings


def _seconds(start: str, end: str) -> float:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _fetch_grid(api: ApiClient, video: dict[str, Any], pictures: Path) -> Path | None:
    url = (video.get("artifacts") or {}).get("grid")
    if url is None:
        return None
    pictures.mkdir(parents=True, exist_ok=True)
    path = pictures / f"{video['id']}-grid.jpg"
    api.download(url, path)
    return path


def _accounted(usage: dict[str, Any]) -> bool:
    """Tokens were paid for, or an earlier answer is named in their place."""
    return bool(usage.get("input_tokens") or usage.get("reused_from"))


def _booked(usage: dict[str, Any], ledger: dict[str, Any] | None) -> bool:
    """The month's calls hold this one; an answer that was there before made none."""
    if usage.get("reused_from"):
        return True
    names = ("input_tokens", "output_tokens", "cost_micro_usd")
    return ledger is not None and all(ledger[name] >= usage.get(name, 0) for name in names)


def _problems(
    video: dict[str, Any],
    jobs: list[dict[str, Any]],
    ledger: dict[str, Any] | None,
    grid: Path | None,
    events: list[str],
) -> list[str]:
    """What did not run, if anything: each stage is asked for by what only it leaves behind."""
    checks = {
        "the video was not analysed": video["status"] == "succeeded" and bool(video["analysis"]),
        "not every job succeeded": len(jobs) == 2 and all(job["state"] == "succeeded" for job in jobs),
        "no frames were taken out": bool(video["keyframes"]),
        "nothing was read from the store": bool(video["reading"] and video["reading"]["bytes"]),
        "there is no picture of the grid": grid is not None and grid.stat().st_size > 0,
        "the model's answer was not accounted for": _accounted(video["usage"] or {}),
        "the model's call is not in the AI ledger": _booked(video["usage"] or {}, ledger),
        "the stream did not tell of the analysis": {"job.progress", "video.extracted", "video.analyzed"} <= set(events),
    }
    return [problem for problem, fine in checks.items() if not fine]
