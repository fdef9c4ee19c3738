"""The video handlers, called as plain functions: real ledger, in-memory store and model."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from huntaze.clients.build import Clients
from huntaze.clients.chat_model import ChatRequest, ScriptedChatModel
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import content_store, job_claim, job_dispatch, job_enqueue, job_settle
from huntaze.models.base import new_id
from huntaze.models.content import Content, ContentTask
from huntaze.models.database import Sessions
from huntaze.models.job_args import VideoAnalyze, VideoExtract
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.models.users import User
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.pipelines.video.errors import MediaError
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
    return Clients(MemoryObjectStore(), ScriptedChatModel(lambda request: json.dumps(ANSWER)))


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
    assert set(seen.artifacts) == {"grid", "poster", "storyboard", "storyboard_vtt"}
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


def test_the_model_is_shown_the_grid_and_told_its_cells(start: Start, sample: bytes, clients: Clients) -> None:
    asked: list[ChatRequest] = []
    model = clients.vision
    assert isinstance(model, ScriptedChatModel)
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


def test_an_answer_that_is_no_report_fails_with_a_code(start: Start, sample: bytes, clients: Clients) -> None:
    model = clients.vision
    assert isinstance(model, ScriptedChatModel)
    model.answer = lambda request: "I would rather not."
    ctx, task = start(sample)
    extract_video(ctx, VideoExtract(task_id=task.id))
    with pytest.raises(Permanent, match="bad_answer"):
        analyze_video(follow_on(ctx, task), VideoAnalyze(task_id=task.id))
