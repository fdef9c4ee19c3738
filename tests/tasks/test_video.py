"""The video handlers, called as plain functions: real ledger, in-memory store and model."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import content_store, job_claim, job_dispatch, job_enqueue, job_settle
from huntaze.models.base import new_id
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions
from huntaze.models.job_args import VideoAnalyze, VideoExtract
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.pipelines.ai.calls import ChatRequest
from huntaze.pipelines.errors import Transient
from huntaze.pipelines.video.errors import MediaError
from huntaze.pipelines.video.report import BadAnswer
from huntaze.pipelines.video.sample import write_sample
from huntaze.tasks.context import JobContext
from huntaze.tasks.video import analyze_video, extract_video

KNOWN = {kind.kind: kind.version for kind in (VideoExtract, VideoAnalyze)}
ANSWER = {
    "summary": "A clock.",
    "scenes": [{"cell": 2, "description": "hands"}, {"cell": 99, "description": "nowhere"}],
}
Start = Callable[..., tuple[JobContext, ContentTask]]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path)
    return path.read_bytes()


@pytest.fixture
def clients() -> Clients:
    return Clients(MemoryObjectStore(), ScriptedGateway(lambda request: json.dumps(ANSWER)))


def claimed(sessions: Sessions, job: Job) -> Job:
    with sessions.begin() as session:
        for queue in ("video", "ai"):
            job_dispatch.take_due(session, queue, 10, KNOWN, Turns())
    with sessions.begin() as session:
        held = job_claim.claim(session, job.id, "here/1", 60, KNOWN[job.kind])
    assert held is not None
    return held


@pytest.fixture
def start(sessions: Sessions, creator: User, clients: Clients) -> Start:
    """A claimed extract job for a body in the store, with its context."""

    def begin(body: bytes) -> tuple[JobContext, ContentTask]:
        key = f"creators/{creator.id}/{new_id()}"
        info = clients.objects.put(key, body, "video/mp4")
        common = {"creator_id": creator.id, "kind": "video", "name": "x", "content_type": "video/mp4"}
        with sessions.begin() as session:
            content = Content(id=new_id(), object_key=key, size=info.size, etag=info.etag, **common)
            session.add(content)
            session.flush()
            task = ContentTask(id=new_id(), creator_id=creator.id, content_id=content.id)
            session.add(task)
            session.flush()
            args = VideoExtract(task_id=task.id)
            job = job_enqueue.enqueue(session, args, creator_id=creator.id, subject_id=task.id).job
        lease = SimpleNamespace(lost=False, cancelled=False)
        return JobContext(claimed(sessions, job), sessions, clients, lease), task

    return begin


def reread(ctx: JobContext, task: ContentTask) -> ContentTask:
    with ctx.sessions() as session:
        return content_store.load_task(session, task.id)[0]


def follow_on(ctx: JobContext, task: ContentTask) -> JobContext:
    """The analyze job that the extraction left behind, claimed."""
    with ctx.sessions() as session:
        job = session.get_one(Job, reread(ctx, task).job_id)
    return JobContext(claimed(ctx.sessions, job), ctx.sessions, ctx.clients, ctx.lease)


def test_a_video_becomes_pictures_and_then_an_analysis(start: Start, sample: bytes) -> None:
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    seen = reread(ctx, task)
    assert (seen.status, seen.progress) == ("processing", 0.6)
    assert seen.keyframes is not None
    assert [frame["cell"] for frame in seen.keyframes] == list(range(1, 10))
    assert seen.reading is not None
    assert 0 < seen.reading["bytes"] <= seen.reading["size"] == len(sample)
    assert seen.artifacts is not None
    assert set(seen.artifacts) == {"grid", "poster", "poster_webp", "preview", "storyboard", "storyboard_vtt"}
    assert all(key.startswith(f"creators/{task.creator_id}/") for key in seen.artifacts.values())
    assert {stage["name"] for stage in ctx.stages} == {"open", "frames", "grid", "encode", "store"}

    then = follow_on(ctx, task)
    analyze_video(then, VideoAnalyze(task_id=task.id))
    done = reread(ctx, task)
    assert (done.status, done.progress) == ("succeeded", 1.0)
    assert done.analysis is not None
    assert done.analysis["scenes"] == [{"cell": 2, "time_s": seen.keyframes[1]["time_s"], "description": "hands"}]
    assert done.analysis["notes"], "the cell that does not exist is noted"
    assert done.usage is not None
    assert done.usage["cost_micro_usd"] == 12
    assert done.usage["calls"] == 1
    forecast = done.usage["forecast"]
    assert 2625 < forecast["input_tokens"] < 2625 + 1000
    assert forecast["cost_micro_usd"] > 12


def test_the_model_is_shown_the_grid_and_told_its_cells(start: Start, sample: bytes, clients: Clients) -> None:
    asked: list[ChatRequest] = []
    model = clients.ai
    assert isinstance(model, ScriptedGateway)
    model.answer = lambda request: asked.append(request) or json.dumps(ANSWER)  # type: ignore[func-returns-value]
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    analyze_video(follow_on(ctx, task), VideoAnalyze(task_id=task.id))
    artifacts = reread(ctx, task).artifacts
    assert artifacts is not None
    assert asked[0].image == clients.objects.read(artifacts["grid"])
    assert "#9 at" in asked[0].prompt


def test_running_it_twice_writes_the_same_objects(start: Start, sample: bytes, clients: Clients) -> None:
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    objects = clients.objects
    assert isinstance(objects, MemoryObjectStore)
    before = set(objects.objects)
    again = JobContext(ctx.job, ctx.sessions, ctx.clients, ctx.lease)
    with pytest.raises(job_settle.LeaseLost):
        extract_video(again, VideoExtract(task_id=task.id))
    assert set(objects.objects) == before


def test_what_is_no_video_is_permanent(start: Start) -> None:
    ctx, task = start(b"not a video at all" * 100)
    with pytest.raises(MediaError, match=r"media\.unreadable"):
        extract_video(ctx, VideoExtract(task_id=task.id))


def test_a_fault_of_the_store_is_no_fault_of_the_video(start: Start, sample: bytes, clients: Clients) -> None:
    ctx, task = start(sample)
    objects = clients.objects
    assert isinstance(objects, MemoryObjectStore)

    def fault(key: str, begin: int, end: int) -> None:
        raise Transient("storage.unavailable", "Away.")

    objects.on_read = fault
    with pytest.raises(Transient, match="unavailable"):
        extract_video(ctx, VideoExtract(task_id=task.id))


def replacing(objects: MemoryObjectStore, body: bytes, times: int) -> None:
    """From now on the object is another one right after it was asked for, that many times."""
    left = iter(range(times))

    def replace(key: str, begin: int, end: int) -> None:
        if next(left, None) is not None:
            old, content_type = objects.objects[key]
            objects.objects[key] = (old + b"\0" if old == body else body, content_type)

    objects.on_read = replace


def test_a_video_that_is_replaced_meanwhile_is_begun_again(start: Start, sample: bytes, clients: Clients) -> None:
    ctx, task = start(sample + bytes(100))
    assert isinstance(clients.objects, MemoryObjectStore)
    replacing(clients.objects, sample, times=1)
    extract_video(ctx, VideoExtract(task_id=task.id))
    seen = reread(ctx, task)
    assert seen.reading is not None
    assert seen.reading["size"] == len(sample)
    assert (seen.reading["way"], seen.reading["requests"]) == ("whole", 1)


def test_a_video_that_is_replaced_again_and_again_fails_with_a_code(
    start: Start, sample: bytes, clients: Clients
) -> None:
    ctx, task = start(sample)
    assert isinstance(clients.objects, MemoryObjectStore)
    replacing(clients.objects, sample, times=2)
    with pytest.raises(MediaError, match=r"media\.changed"):
        extract_video(ctx, VideoExtract(task_id=task.id))


def scripted(clients: Clients, *answers: str) -> list[ChatRequest]:
    """From now on the model gives these answers, the last one for ever; returns what it is asked."""
    asked: list[ChatRequest] = []
    model = clients.ai
    assert isinstance(model, ScriptedGateway)

    def answer(request: ChatRequest) -> str:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1]

    model.answer = answer
    return asked


@pytest.fixture
def analysed(start: Start) -> Callable[..., ContentTask]:
    """The task of a body that went through both jobs."""

    def run(body: bytes) -> ContentTask:
        ctx, task = start(body)
        extract_video(ctx, VideoExtract(task_id=task.id))
        analyze_video(follow_on(ctx, task), VideoAnalyze(task_id=task.id))
        return reread(ctx, task)

    return run


def test_an_answer_that_is_no_report_is_shown_to_the_model_again(
    analysed: Callable[..., ContentTask], sample: bytes, clients: Clients
) -> None:
    asked = scripted(clients, "I would rather not.", json.dumps(ANSWER))
    done = analysed(sample)
    assert done.analysis is not None
    assert done.analysis["summary"] == "A clock."
    assert asked[1].prompt.startswith(asked[0].prompt)
    assert '"I would rather not."' in asked[1].prompt
    assert "no JSON object" in asked[1].prompt
    assert asked[1].image == asked[0].image
    usage = done.usage
    assert usage is not None
    assert (usage["calls"], usage["input_tokens"], usage["output_tokens"]) == (2, 200, 20)
    assert usage["cost_micro_usd"] == 24


def test_a_second_bad_answer_fails_and_both_are_kept_for_operators(
    start: Start, sample: bytes, clients: Clients
) -> None:
    asked = scripted(clients, "I would rather not." + "x" * 20_000, '{"title": "still none"}')
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    with pytest.raises(BadAnswer) as caught:
        analyze_video(follow_on(ctx, task), VideoAnalyze(task_id=task.id))
    assert len(asked) == 2
    detail = caught.value.detail
    assert detail is not None
    assert "I would rather not." in detail
    assert '{"title": "still none"}' in detail
    assert "'input_tokens': 200" in detail
    assert len(detail) < 20_000
    assert "rather" not in caught.value.message


def test_the_same_video_again_costs_nothing_and_says_so(
    analysed: Callable[..., ContentTask], sample: bytes, clients: Clients
) -> None:
    asked = scripted(clients, json.dumps(ANSWER))
    first, second, third = analysed(sample), analysed(sample), analysed(sample)
    assert len(asked) == 1
    assert first.usage is not None
    assert "reused" not in first.usage
    for again in (second, third):
        assert again.analysis == first.analysis
        assert again.usage is not None
        assert again.usage["reused"] is True
        assert again.usage["reused_from"] == str(first.id)
        assert (again.usage["calls"], again.usage["input_tokens"], again.usage["cost_micro_usd"]) == (0, 0, 0)


def test_another_model_is_asked_anew(analysed: Callable[..., ContentTask], sample: bytes, clients: Clients) -> None:
    asked = scripted(clients, json.dumps(ANSWER))
    analysed(sample)
    model = clients.ai
    assert isinstance(model, ScriptedGateway)
    model.name = "another"
    analysed(sample)
    assert len(asked) == 2


def test_an_answer_never_reaches_another_creator(
    analysed: Callable[..., ContentTask], sample: bytes, sessions: Sessions
) -> None:
    first = analysed(sample)
    assert first.analysis_key is not None
    with sessions() as session:
        own = content_store.find_analysis(session, first.creator_id, first.analysis_key)
        assert own is not None
        assert own.task_id == first.id
        assert content_store.find_analysis(session, new_id(), first.analysis_key) is None


def ask_again(ctx: JobContext, task: ContentTask, cells: Literal[4] | None = None) -> tuple[JobContext, ContentTask]:
    """Another task for the same content, with its claimed extract job."""
    with ctx.sessions.begin() as session:
        again = ContentTask(id=new_id(), creator_id=task.creator_id, content_id=task.content_id)
        session.add(again)
        session.flush()
        args = VideoExtract(task_id=again.id, cells=cells)
        job = job_enqueue.enqueue(session, args, creator_id=task.creator_id, subject_id=again.id).job
    other = JobContext(claimed(ctx.sessions, job), ctx.sessions, ctx.clients, ctx.lease)
    extract_video(other, args)
    return other, reread(other, again)


def test_the_same_bytes_of_a_content_are_looked_at_once(start: Start, sample: bytes, clients: Clients) -> None:
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    first = reread(ctx, task)
    objects = clients.objects
    assert isinstance(objects, MemoryObjectStore)
    reads: list[str] = []
    objects.on_read = lambda key, begin, end: reads.append(key)

    other, second = ask_again(ctx, task)
    assert reads == []
    assert (second.artifacts, second.keyframes, second.media) == (first.artifacts, first.keyframes, first.media)
    assert second.reading is not None
    assert (second.reading["way"], second.reading["bytes"], second.reading["size"]) == ("reused", 0, len(sample))
    analyze_video(follow_on(other, second), VideoAnalyze(task_id=second.id))
    assert reread(other, second).status == "succeeded"

    _, fewer = ask_again(ctx, task, cells=4)
    assert fewer.keyframes is not None
    assert len(fewer.keyframes) == 4, "another way of looking is another look"
    assert reads != []


@pytest.mark.parametrize("lost", ["bytes", "pictures"])
def test_a_content_that_changed_or_whose_pictures_are_gone_is_looked_at_again(
    start: Start, sample: bytes, clients: Clients, lost: str
) -> None:
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    first = reread(ctx, task)
    objects = clients.objects
    assert isinstance(objects, MemoryObjectStore)
    assert first.artifacts is not None
    if lost == "bytes":
        with ctx.sessions() as session:
            content = content_store.load_task(session, task.id)[1]
        objects.put(content.object_key, sample + bytes(8), "video/mp4")
    else:
        del objects.objects[first.artifacts["poster"]]
    _, second = ask_again(ctx, task)
    assert second.reading is not None
    assert second.reading["bytes"] > 0
