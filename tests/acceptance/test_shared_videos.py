"""Every real file through one worker: a grid, or a code and a sentence; no hang, and the same worker at the end."""

import pytest

from huntaze.models.jobs import JobState
from tests.acceptance.conftest import Processes, Videos
from tests.conftest import SHARED
from tests.waiting import until

FILES = sorted(path for path in (SHARED / "videos").glob("*") if path.suffix not in (".md", ".json"))
REFUSED = {
    "audio_only.mp4": "media.no_video",
    "png_named.mp4": "media.unsupported_format",
    "text.mp4": "media.unreadable",
    "trunc60_bigbuckbunny.mp4": "media.unreadable",
}


@pytest.mark.skipif(not FILES, reason=f"{SHARED / 'videos'} is missing: this test needs the shared folder")
def test_every_real_file_ends_one_way_or_the_other(processes: Processes, videos: Videos, sandbox: str) -> None:
    processes.dispatcher()
    worker = processes.worker(concurrency=2, HUNTAZE_AI_BASE_URL=sandbox)
    # An empty upload is refused by the API, and so has no row.
    sent = {path.name: videos.enqueue(path) for path in FILES if path.stat().st_size}

    def ended() -> bool:
        return all(videos.task(task).status in ("succeeded", "failed") for task, _ in sent.values())

    until(ended, "all videos to end", 240)
    assert worker.poll() is None
    for name, (task, job) in sent.items():
        seen, first = videos.task(task), videos.job(job)
        assert (first.attempt, first.crashes) == (1, 0), f"{name}\n{processes.logs()}"
        assert seen.error_code == REFUSED.get(name), f"{name}: {seen.error_message}"
        if name in REFUSED:
            assert first.state == JobState.FAILED
            assert (seen.error_message or "").endswith(".")
        else:
            assert seen.keyframes, name
            assert seen.artifacts, name
            assert seen.analysis, name
            assert videos.objects.read(seen.artifacts["grid"]).startswith(b"\xff\xd8"), name


def test_the_list_above_is_not_stale() -> None:
    assert not FILES or {path.name for path in FILES} >= set(REFUSED)
