"""The job kinds of the trial. Importing this module makes them known, in this process alone.

Every handler leaves its mark in `chaos_effects`, a table without a unique constraint: doubles are to show.
"""

import http.client
import json
import os
import signal
import threading
from datetime import datetime
from typing import ClassVar

from sqlalchemy import text

from huntaze.beat_schedule import SCHEDULE, Entry
from huntaze.models.job_args import JobArgs, PeriodicArgs
from huntaze.models.job_kinds import KINDS, JobKind
from huntaze.pipelines.ai.calls import Caller, ChatRequest
from huntaze.pipelines.errors import Permanent, Transient
from huntaze.tasks.context import Finish, JobContext
from huntaze.tasks.registry import job

OUTSIDE_PORT = "CHAOS_OUTSIDE_PORT"  # the variable that tells handlers where the fake outside world is
ANSWER_TOKENS = 60
EFFECTS = "CREATE TABLE chaos_effects (job_id uuid NOT NULL, attempt int NOT NULL)"


class Quick(JobArgs):
    """An effect, at once."""

    kind: ClassVar[str] = "chaos.quick"


class Delayed(JobArgs):
    """An effect, not before its time."""

    kind: ClassVar[str] = "chaos.delayed"

    due: datetime


class Call(JobArgs):
    """A call to the outside world, then an effect."""

    kind: ClassVar[str] = "chaos.call"


class Ask(JobArgs):
    """A question to a model, then an effect."""

    kind: ClassVar[str] = "chaos.ask"


class Slow(JobArgs):
    """Many checkpoints, then an effect."""

    kind: ClassVar[str] = "chaos.slow"

    steps: int
    step_s: float


class Parent(JobArgs):
    """An effect and a follow-on job."""

    kind: ClassVar[str] = "chaos.parent"


class Child(JobArgs):
    """What a parent brings."""

    kind: ClassVar[str] = "chaos.child"


class Flaky(JobArgs):
    """Fails `failures` times, then an effect."""

    kind: ClassVar[str] = "chaos.flaky"

    failures: int


class Doomed(JobArgs):
    """Fails for good."""

    kind: ClassVar[str] = "chaos.doomed"


class Poison(JobArgs):
    """Kills the process that runs it, every time."""

    kind: ClassVar[str] = "chaos.poison"


class Tick(PeriodicArgs):
    """An effect, every minute."""

    kind: ClassVar[str] = "chaos.tick"


# A database that is away costs an attempt an error, so the many outages of a trial must not use the attempts up.
_PATIENT = {"max_attempts": 60, "backoff_base_s": 0.2, "backoff_cap_s": 2.0}
_QUEUES: dict[type[JobArgs], str] = {
    Quick: "default",
    Delayed: "default",
    Call: "ai",
    Ask: "default",  # where most is killed
    Slow: "video",
    Parent: "default",
    Child: "ai",
    Flaky: "default",
    Doomed: "ai",
    Poison: "video",  # prefork: elsewhere it would take its neighbours in the same process with it
    Tick: "default",
}
for _args, _queue in _QUEUES.items():
    KINDS[_args.kind] = JobKind(_args, queue=_queue, **_PATIENT)  # type: ignore[arg-type]

# Billing has a calendar of its own here (billing.py): months that pass in minutes, in the past.
for _entry in ("billing-audit", "monthly-billing", "payment-collection", "usage-metering"):
    del SCHEDULE[_entry]
SCHEDULE["chaos-tick"] = Entry(Tick.kind, "* * * * *", "all")


def _effect(finish: Finish) -> None:
    row = {"job": finish.job.id, "attempt": finish.job.attempt}
    finish.session.execute(text("INSERT INTO chaos_effects (job_id, attempt) VALUES (:job, :attempt)"), row)


@job(Quick)
def quick(ctx: JobContext, args: Quick) -> None:
    with ctx.finish() as finish:
        _effect(finish)


@job(Delayed)
def delayed(ctx: JobContext, args: Delayed) -> None:
    with ctx.finish() as finish:
        _effect(finish)


@job(Call)
def call(ctx: JobContext, args: Call) -> None:
    body = json.dumps({"job": str(ctx.job.id), "attempt": ctx.job.attempt})
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ[OUTSIDE_PORT]), timeout=5)
    try:
        connection.request("POST", "/", body)
        if connection.getresponse().status != 200:
            raise Transient("chaos.outside", "The outside world has hiccups.", retry_after=0.2)
    finally:
        connection.close()
    with ctx.finish() as finish:
        _effect(finish)


@job(Ask)
def ask(ctx: JobContext, args: Ask) -> None:
    request = ChatRequest("generate", f"What is to be thought of {ctx.job.id}?", max_tokens=ANSWER_TOKENS)
    ctx.clients.ai.complete(request, Caller(ctx.job.creator_id, ctx.job.id))
    with ctx.finish() as finish:
        _effect(finish)


@job(Slow)
def slow(ctx: JobContext, args: Slow) -> None:
    for step in range(args.steps):
        ctx.progress(step / args.steps, f"step {step // 4}")
        threading.Event().wait(args.step_s)
    with ctx.finish() as finish:
        _effect(finish)


@job(Tick)
def tick(ctx: JobContext, args: Tick) -> None:
    with ctx.finish() as finish:
        _effect(finish)


@job(Parent)
def parent(ctx: JobContext, args: Parent) -> None:
    with ctx.finish() as finish:
        _effect(finish)
        finish.enqueue(Child())


@job(Child)
def child(ctx: JobContext, args: Child) -> None:
    with ctx.finish() as finish:
        _effect(finish)


@job(Flaky)
def flaky(ctx: JobContext, args: Flaky) -> None:
    if ctx.job.errors < args.failures:
        raise Transient("chaos.flaky", "Not yet.")
    with ctx.finish() as finish:
        _effect(finish)


@job(Doomed)
def doomed(ctx: JobContext, args: Doomed) -> None:
    raise Permanent("chaos.doomed", "Never.")


@job(Poison)
def poison(ctx: JobContext, args: Poison) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
