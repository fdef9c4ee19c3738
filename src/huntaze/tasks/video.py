"""From an uploaded video to a stored analysis."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from huntaze.clients.object_store import CHANGED, NoSuchObject, ObjectInfo, ObjectStore
from huntaze.models import content_store
from huntaze.models.content import ContentTask
from huntaze.models.content_store import Analysed, Extracted
from huntaze.models.job_args import VideoAnalyze, VideoExtract
from huntaze.pipelines.ai.calls import Caller, ChatReply, ChatRequest
from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video import errors
from huntaze.pipelines.video.errors import media_error
from huntaze.pipelines.video.extract import Extraction, extract
from huntaze.pipelines.video.grid import Cell, canvas_tokens, layout
from huntaze.pipelines.video.probe import MediaFacts
from huntaze.pipelines.video.prompt import answer_tokens, build_prompt, prompt_tokens, repair_prompt, request_key
from huntaze.pipelines.video.reader import RangeReader
from huntaze.pipelines.video.report import PROMPT_VERSION, BadAnswer, Report, parse_report
from huntaze.pipelines.video.version import extractor_version
from huntaze.tasks.context import JobContext
from huntaze.tasks.registry import job

READ_BUDGET_BYTES = 1 << 30  # of one video, index and retries within the file included
READ_SECONDS = 240.0  # under the kind's soft limit, which could not tell a slow store from a hard video


@job(VideoExtract)
def extract_video(ctx: JobContext, args: VideoExtract) -> None:
    """Ranged reads of the object -> grid, poster, storyboard in the store; then `video.analyze`."""
    with ctx.sessions() as session:
        task, content = content_store.load_task(session, args.task_id)
    seen = ctx.clients.objects.head(content.object_key)
    extracted = _seen_before(ctx, task, seen, args.cells) or _extracted(ctx, task, seen, args.cells)
    with ctx.finish() as finish:
        stored = content_store.save_extraction(finish.session, args.task_id, extracted)
        stored.job_id = finish.enqueue(VideoAnalyze(task_id=args.task_id))
        finish.emit("video.extracted", task.id, {"video_id": str(task.id), "keyframes": extracted.keyframes})


def _seen_before(ctx: JobContext, task: ContentTask, seen: ObjectInfo, cells: int | None) -> Extracted | None:
    """What was taken out of the same bytes of the same content in the same way, if its pictures are still there."""
    with ctx.sessions() as session:
        before = content_store.find_extraction(
            session, task.content_id, _extract_key(seen, cells), seen.size, seen.etag
        )
    if before is None:
        return None
    try:
        for key in before.artifacts.values():
            ctx.clients.objects.head(key)
    except NoSuchObject:
        return None
    nothing = dict.fromkeys(("bytes", "requests", "looked_at"), 0)
    return replace(before, reading={**nothing, "size": seen.size, "way": "reused", "reason": "looked at before"})


def _extract_key(seen: ObjectInfo, cells: int | None) -> str:
    """The same for the same bytes, looked at in the same way."""
    return hashlib.sha256(f"{extractor_version()} {seen.size} {seen.etag} {cells}".encode()).hexdigest()


def _extracted(ctx: JobContext, task: ContentTask, seen: ObjectInfo, cells: int | None) -> Extracted:
    """Looks, and puts the pictures into the store."""
    seen, found = _look(ctx, seen, cells)
    with ctx.stage("store"):
        artifacts = _store(ctx.clients.objects, task, found)
    return Extracted(
        media={**asdict(found.facts), "damaged": found.damaged, "cut_short": found.cut_short},
        keyframes=[{"cell": cell.index, "time_s": round(cell.time_s, 3)} for cell in found.grid.cells],
        artifacts=artifacts,
        reading={**asdict(found.reading), "size": seen.size},
        size=seen.size,
        etag=seen.etag,
        key=_extract_key(seen, cells),
    )


def _look(ctx: JobContext, seen: ObjectInfo, cells: int | None) -> tuple[ObjectInfo, Extraction]:
    """Reads the object as it was `seen`. One that is replaced meanwhile is begun again, once.

    Raises MediaError(media.changed) the second time, and what `extract` and the store raise.
    """
    objects, key, deadline = ctx.clients.objects, seen.key, _deadline(READ_SECONDS)
    for _ in range(2):
        fetch, stream = partial(objects.read_range, key, etag=seen.etag), partial(objects.stream, key, etag=seen.etag)
        try:
            with RangeReader(
                fetch, seen.size, stream=stream, budget_bytes=READ_BUDGET_BYTES, deadline=deadline
            ) as reader:
                return seen, extract(reader, size_bytes=seen.size, cells=cells, progress=ctx.progress)
        except Transient as error:
            if error.code != CHANGED:
                raise
            seen = objects.head(key)
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
        "poster_webp": (found.poster_webp(), "webp", "image/webp"),
        "preview": (found.preview_webp(), "webp", "image/webp"),
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
    """Grid -> vision model -> checked report -> the creator's analysis, and the event that tells it.

    What the same creator has asked the same model before is not asked again (docs/decisions/0010-same-video.md).
    """
    with ctx.sessions() as session:
        task, _ = content_store.load_task(session, args.task_id)
    assert task.media is not None
    assert task.keyframes is not None
    assert task.artifacts is not None
    facts = MediaFacts(**{name: task.media[name] for name in MediaFacts.__dataclass_fields__})
    cells = layout(tuple(frame["time_s"] for frame in task.keyframes))
    with ctx.stage("load"):
        grid = ctx.clients.objects.read(task.artifacts["grid"])
    request = ChatRequest(
        "vision",
        build_prompt(facts, cells),
        image=grid,
        image_tokens=_grid_tokens(cells),
        max_tokens=answer_tokens(len(cells)),
        prompt_version=PROMPT_VERSION,
    )
    key = request_key(ctx.clients.ai.identity("vision"), request.prompt, grid)
    with ctx.sessions() as session:
        before = content_store.find_analysis(session, task.creator_id, key)
    if before is None:
        report, replies = _ask(ctx, request, {cell.index: cell.time_s for cell in cells})
        analysis, usage = report.model_dump(mode="json"), _usage(replies)
    else:
        analysis, usage = before.analysis, _reused(before)
    usage["forecast"] = _forecast(ctx, request, cells)
    with ctx.finish() as finish:
        content_store.save_analysis(finish.session, args.task_id, analysis, usage, key)


def _ask(ctx: JobContext, request: ChatRequest, times: dict[int, float]) -> tuple[Report, list[ChatReply]]:
    """The report, and every reply that was paid for it: a bad one is shown to the model again, once.

    Raises BadAnswer with both answers in its detail.
    """
    # Whole analyses are kept in the ledger; a bad answer must not be given again to the job that runs anew.
    caller = Caller(ctx.job.creator_id, ctx.job.id, cache_s=0)
    ctx.progress(0.1, "ask")
    replies = [ctx.clients.ai.complete(request, caller)]
    try:
        return parse_report(replies[0].text, times), replies
    except BadAnswer as error:
        first = error
    ctx.progress(0.6, "repair")
    replies.append(ctx.clients.ai.complete(replace(request, prompt=repair_prompt(request.prompt, first)), caller))
    try:
        return parse_report(replies[1].text, times), replies
    except BadAnswer as second:
        second.detail = f"{first.detail}\n\nand when asked again: {second.detail}\n\nusage: {_usage(replies)}"
        raise


def _usage(replies: list[ChatReply]) -> dict[str, Any]:
    """What the calls took together."""
    return {
        "model": replies[-1].model,
        "sandbox": replies[-1].sandbox,
        "prompt_version": PROMPT_VERSION,
        "calls": len(replies),
        "input_tokens": sum(reply.input_tokens for reply in replies),
        "output_tokens": sum(reply.output_tokens for reply in replies),
        "cost_micro_usd": sum(reply.cost_micro_usd for reply in replies),
    }


def _reused(before: Analysed) -> dict[str, Any]:
    """Nothing was asked and nothing paid: the answer is that of an earlier analysis."""
    nothing = dict.fromkeys(("calls", "input_tokens", "output_tokens", "cost_micro_usd"), 0)
    same = {name: before.usage[name] for name in ("model", "sandbox", "prompt_version")}
    return {**same, **nothing, "reused": True, "reused_from": str(before.task_id)}


def _forecast(ctx: JobContext, request: ChatRequest, cells: Sequence[Cell]) -> dict[str, int]:
    """What one call for this was expected to take: the output at its most, the cost accordingly."""
    sent = _grid_tokens(cells) + prompt_tokens(request.prompt)
    cost = ctx.clients.ai.price("vision", sent, request.max_tokens)
    return {"input_tokens": sent, "output_tokens": request.max_tokens, "cost_micro_usd": cost}


def _grid_tokens(cells: Sequence[Cell]) -> int:
    """What the picture costs, by the model's own rule."""
    return canvas_tokens(max(cell.box[2] for cell in cells), max(cell.box[3] for cell in cells))
