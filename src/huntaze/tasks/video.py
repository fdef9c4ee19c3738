"""From an uploaded video to a stored analysis."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from huntaze.clients.chat_model import ChatRequest
from huntaze.clients.object_store import CHANGED, ObjectInfo, ObjectStore
from huntaze.models import content_store
from huntaze.models.content import ContentTask
from huntaze.models.content_store import Extracted
from huntaze.models.job_args import VideoAnalyze, VideoExtract
from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video import errors
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.grid import layout
from huntaze.pipelines.video.probe import MediaFacts
from huntaze.pipelines.video.reader import RangeReader
from huntaze.pipelines.video.report import PROMPT_VERSION, build_prompt, parse_report
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

READ_BUDGET_BYTES = 1 << 30  # of one video, index and retries within the file included
READ_SECONDS = 240.0  # under the kind's soft limit, which could not tell a slow store from a hard video


@job(VideoExtract)
def extract_video(ctx: JobContext, args: VideoExtract) -> None:
    """Ranged reads of the object -> grid, poster, storyboard in the store; then `video.analyze`."""
    with ctx.sessions() as session:
        task, content = content_store.load_task(session, args.task_id)
    seen, found = _look(ctx, content.object_key, args.cells)
    with ctx.stage("store"):
        artifacts = _store(ctx.clients.objects, task, found)
    extracted = Extracted(
        media={**asdict(found.facts), "damaged": found.damaged, "cut_short": found.cut_short},
        keyframes=[{"cell": cell.index, "time_s": round(cell.time_s, 3)} for cell in found.grid.cells],
        artifacts=artifacts,
        reading={**asdict(found.reading), "size": seen.size},
        size=seen.size,
        etag=seen.etag,
    )
    with ctx.finish() as finish:
        stored = content_store.save_extraction(finish.session, args.task_id, extracted)
        stored.job_id = finish.enqueue(VideoAnalyze(task_id=args.task_id))
        finish.emit("video.extracted", task.id, {"video_id": str(task.id), "keyframes": extracted.keyframes})


def _look(ctx: JobContext, key: str, cells: int | None) -> tuple[ObjectInfo, Extraction]:
    """Reads the object as it is now. One that is replaced meanwhile is begun again, once.

    Raises MediaError(media.changed) the second time, and what `extract` and the store raise.
    """
    objects, deadline = ctx.clients.objects, _deadline(READ_SECONDS)
    for _ in range(2):
        seen = objects.head(key)
        fetch, stream = partial(objects.read_range, key, etag=seen.etag), partial(objects.stream, key, etag=seen.etag)
        try:
            with RangeReader(
                fetch, seen.size, stream=stream, budget_bytes=READ_BUDGET_BYTES, deadline=deadline
            ) as reader:
                return seen, extract(reader, size_bytes=seen.size, cells=cells, progress=ctx.progress)
        except Transient as error:
            if error.code != CHANGED:
                raise
    raise media_error(errors.CHANGED)


def _deadline(seconds: float) -> Callable[[], None]:
    """To be called before each request. Raises Transient once the time is over: it is the store that is slow."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise Transient("storage.slow", f"The object could not be read within {seconds:g} seconds.")

    return check


def _store(objects: ObjectStore, task: ContentTask, found: Extraction) -> dict[str, str]:
    """Puts the pictures under keys that are named by their bytes: a second run writes the same objects again."""
    bodies = {
        "grid": (found.grid_jpeg, "jpg", "image/jpeg"),
        "poster": (found.poster_jpeg, "jpg", "image/jpeg"),
        "storyboard": (found.storyboard.jpeg, "jpg", "image/jpeg"),
        "storyboard_vtt": (found.storyboard.vtt.encode(), "vtt", "text/vtt"),
    }
    keys = {}
    for name, (body, ending, content_type) in bodies.items():
        digest = hashlib.sha256(body).hexdigest()[:16]
        keys[name] = f"creators/{task.creator_id}/videos/{task.id}/{name}-{digest}.{ending}"
        objects.put(keys[name], body, content_type)
    return keys


@job(VideoAnalyze)
def analyze_video(ctx: JobContext, args: VideoAnalyze) -> None:
    """Grid -> vision model -> checked report -> the creator's analysis, and the event that tells it."""
    with ctx.sessions() as session:
        task, _ = content_store.load_task(session, args.task_id)
    assert task.media is not None
    assert task.keyframes is not None
    assert task.artifacts is not None
    facts = MediaFacts(**{name: task.media[name] for name in MediaFacts.__dataclass_fields__})
    cells = layout(tuple(frame["time_s"] for frame in task.keyframes))
    with ctx.stage("load"):
        grid = ctx.clients.objects.read(task.artifacts["grid"])
    ctx.progress(0.1, "ask")
    reply = ctx.clients.vision.complete(ChatRequest(build_prompt(facts, cells), grid))
    report = parse_report(reply.text, cells)
    usage = {
        "model": reply.model,
        "sandbox": reply.sandbox,
        "prompt_version": PROMPT_VERSION,
        "input_tokens": reply.input_tokens,
        "output_tokens": reply.output_tokens,
        "cost_micro_usd": reply.cost_micro_usd,
    }
    with ctx.finish() as finish:
        content_store.save_analysis(finish.session, args.task_id, report.model_dump(mode="json"), usage)
