"""The job kinds of these tests: what they are given, how they are run. Importing this makes none of them known.

Every handler tells its creator `test.done` in its finishing transaction: a job with two effects has two such events.
"""

import ctypes
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

from huntaze.models.job_args import JobArgs
from huntaze.models.job_kinds import JobKind
from huntaze.pipelines.errors import Transient
from huntaze.tasks.context import JobContext

DEPLOY = "HUNTAZE_TEST_DEPLOY"  # the variable that makes a process one of the `old` deploy
DONE = "test.done"


class Hold(JobArgs):
    """Takes so many seconds, or until a file is there."""

    kind: ClassVar[str] = "test.hold"

    seconds: float = 60.0
    file: Path | None = None


class Other(Hold):
    """The same, of another kind."""

    kind: ClassVar[str] = "test.other"


class Frames(Hold):
    """The same, in a process of its own."""

    kind: ClassVar[str] = "test.frames"


class Poison(JobArgs):
    """Kills the process that runs it, every time."""

    kind: ClassVar[str] = "test.poison"


class Retried(JobArgs):
    """Asks once, as soon as a file is there, to be called again in so many seconds."""

    kind: ClassVar[str] = "test.retried"

    retry_after: float
    file: Path | None = None


class Novel(JobArgs):
    """A kind that the old deploy does not know."""

    kind: ClassVar[str] = "test.novel"


class OldLabelled(JobArgs):
    """The arguments as the old deploy has them."""

    kind: ClassVar[str] = "test.labelled"

    name: str


class Labelled(JobArgs):
    """The same kind's arguments since."""

    kind: ClassVar[str] = "test.labelled"
    version: ClassVar[int] = 2

    label: str

    @classmethod
    def upgrade(cls, version: int, args: dict[str, Any]) -> dict[str, Any]:
        return {"label": args["name"]}


_NEW = (
    JobKind(Hold, queue="default"),
    JobKind(Other, queue="default"),
    JobKind(Frames, queue="video"),
    JobKind(Poison, queue="video"),
    JobKind(Retried, queue="default"),
    JobKind(Novel, queue="default"),
    JobKind(Labelled, queue="default"),
)
NEW = {kind.name: kind for kind in _NEW}
OLD = {name: kind for name, kind in NEW.items() if name != Novel.kind}
OLD[Labelled.kind] = JobKind(OldLabelled, queue="default")


def known() -> dict[str, JobKind]:
    """What this process knows, by its deploy."""
    return OLD if os.environ.get(DEPLOY) == "old" else NEW


def hold(ctx: JobContext, args: Hold) -> None:
    wait(ctx, args.seconds, args.file)
    done(ctx, args)


def wait(ctx: JobContext, seconds: float, file: Path | None) -> None:
    for _ in range(int(seconds / 0.02)):
        ctx.checkpoint()
        if file is not None and file.exists():
            break
        threading.Event().wait(0.02)


def poison(ctx: JobContext, args: Poison) -> None:
    ctypes.string_at(0)  # a real SIGSEGV, as a decoder's


def retried(ctx: JobContext, args: Retried) -> None:
    if ctx.job.errors == 0:
        wait(ctx, 60 if args.file else 0, args.file)
        raise Transient("test.retried", "Not yet.", args.retry_after)
    done(ctx, args)


def done(ctx: JobContext, args: JobArgs) -> None:
    with ctx.finish() as finish:
        finish.result.update(args.model_dump(mode="json"))
        finish.emit(DONE, ctx.job.id, {})


HANDLERS = {Hold: hold, Other: hold, Frames: hold, Poison: poison, Retried: retried, Novel: done}
