"""Videos through a whole fleet, while the AI answers at once: how many a minute, and where the core seconds go.

Each is asked for through the API by a creator of its own, so that no answer is used twice: read from S3, looked at,
its pictures stored, its grid analysed by the sandbox, the result booked and told.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import text

from benchmarks.ai import answers, sandbox
from benchmarks.rig.cpu import cpu_by_process
from benchmarks.rig.films import film
from benchmarks.rig.processes import Rig, rig
from benchmarks.rig.report import Options, Report, parse_options
from huntaze.cli.fleet import WORKERS
from huntaze.cli.stack.ports import LOOPBACK, HeldPort
from huntaze.clients.s3 import S3ObjectStore
from huntaze.models import user_store
from huntaze.pipelines.video.sample import write_sample

_NODES = {"dispatcher": ("dispatcher",)} | {
    name: ("worker", "--queues", queues) for name, queues in WORKERS.items() if set(queues.split(",")) & {"video", "ai"}
}
_ENDED = text("""
    SELECT count(*) FILTER (WHERE kind = 'video.analyze' AND state = 'succeeded'),
           count(*) FILTER (WHERE state IN ('failed', 'cancelled'))
    FROM jobs
""")


@dataclass(frozen=True)
class _Through:
    """seconds: from the first request to the last analysis. cpu: core seconds meanwhile, by process."""

    seconds: float
    cpu: dict[str, float]


def main() -> None:
    options = parse_options(__doc__ or "")
    run(options).print(options)


def run(options: Options) -> Report:
    """Quick: fewer videos, and the project's own sample alone."""
    report, cores = Report("video_fleet"), os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="huntaze-sample-") as folder, rig(s3=True) as stores:
        sample = Path(folder) / "sample.mp4"
        write_sample(sample)
        films = {"sample": (sample, 40 if options.quick else 200)}
        if not options.quick:
            films["30s_720p"] = film("30s_720p"), 60
        report.versions = stores.store_versions()
        report.sizes = {"cores": cores, **{name: number for name, (_, number) in films.items()}}
        with sandbox(stores) as url:
            api = _start(stores, url)
            for name, (path, number) in films.items():
                _send(stores, api, f"warm-{name}", path, 2 * cores)
                report.note(f"{number} times {name}")
                _add(report, name, path, number, _send(stores, api, name, path, number))
    return report


def _start(stores: Rig, ai_url: str) -> str:
    """The URL of an API with a fleet behind it."""
    objects = S3ObjectStore(stores.settings.s3)
    objects.ensure_bucket()  # without it the API is not ready
    objects.close()
    stores.environment |= {"HUNTAZE_AI_BASE_URL": ai_url, "HUNTAZE_AI_MODEL": "sandbox-vision"}
    with HeldPort() as port:
        stores.start("api", "huntaze.api", "--port", str(port.number))
        api = f"http://{LOOPBACK}:{port.number}"
        stores.until(lambda: answers(f"{api}/readyz"), "the API", 30)
    stores.start_nodes(_NODES)
    return api


def _send(stores: Rig, api: str, name: str, path: Path, number: int) -> _Through:
    """So many creators' videos, all asked for at once, until all are analysed."""
    objects, wanted = S3ObjectStore(stores.settings.s3), list[tuple[str, str]]()
    body = path.read_bytes()
    for at in range(number):
        with stores.sessions.begin() as session:
            creator = user_store.ensure_user(session, f"{name}-{at}")
            _, key = user_store.create_key(session, creator.id, "bench")
        wanted.append((key, f"creators/{creator.id}/uploads/{at}/source.mp4"))
        objects.put(wanted[-1][1], body, "video/mp4")
    objects.close()
    pids = {part: process.pid for part, process in stores.running.items()}
    expected, before, begun = _analysed(stores) + number, cpu_by_process(pids), time.monotonic()
    with httpx.Client(base_url=api, trust_env=False) as client:
        for key, object_key in wanted:
            headers = {"Authorization": f"Bearer {key}"}
            client.post("/v1/videos", json={"object_key": object_key}, headers=headers).raise_for_status()
    stores.until(lambda: _analysed(stores) >= expected, f"{number} analyses", 1200, every_s=0.1)
    seconds, after = time.monotonic() - begun, cpu_by_process(pids)
    return _Through(seconds, {part: after[part] - before[part] for part in pids})


def _analysed(stores: Rig) -> int:
    with stores.engine.connect() as connection:
        analysed, failed = connection.execute(_ENDED).one()
    if failed:
        raise RuntimeError(f"{failed} jobs failed")
    return int(analysed)


def _add(report: Report, name: str, path: Path, number: int, through: _Through) -> None:
    about, cores = f"{name} ({path.stat().st_size / 1e6:.1f} MB)", os.cpu_count() or 1
    per_minute = 60 * number / through.seconds
    report.add(f"{name}_per_minute", per_minute, "/min", f"{about}: videos a minute, all processes and stores here")
    report.add(f"{name}_per_minute_and_core", per_minute / cores, "/min", f"  a core of {cores}")
    for part, spent in through.cpu.items():
        report.add(f"{name}_{part.replace('-', '_')}_cpu_ms", 1000 * spent / number, "ms", f"  CPU of {part}, a video")


if __name__ == "__main__":
    main()
