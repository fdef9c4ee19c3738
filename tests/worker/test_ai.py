"""Models and money in a worker: what its gateway books, and what becomes of a job that the budget refuses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from huntaze.clients.ai.configured import routes_of
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.memory_wire import MemoryWire
from huntaze.models import ai_limits, job_dispatch, job_enqueue
from huntaze.models.database import Sessions
from huntaze.models.job_args import Noop
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job, JobState
from huntaze.models.users import User
from huntaze.pipelines.ai.budget import TOTAL
from huntaze.pipelines.ai.calls import Caller, ChatRequest
from huntaze.settings import Settings
from huntaze.tasks.context import JobContext
from huntaze.worker.ai_metrics import AiRetirements
from huntaze.worker.base import run_job
from huntaze.worker.runtime import Runtime, build_runtime

ASK = ChatRequest("vision", "what is this?")
# How long after the month's end the job is due.
AFTER_MONTH = """
    SELECT run_at AT TIME ZONE 'UTC' - date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month' FROM jobs
"""


@pytest.fixture
def runtime(settings: Settings, sessions: Sessions) -> Iterator[Runtime]:
    """As a worker builds it, but for the wire: nobody is asked."""
    built = build_runtime(settings)
    assert isinstance(built.clients.ai, Gateway)
    model = Gateway(routes_of(settings.ai), MemoryWire(), built.clients.ai.budget)
    yield replace(built, clients=replace(built.clients, ai=model))
    built.sessions.kw["bind"].dispose()


def ask(ctx: JobContext, args: Noop) -> None:
    assert ctx.clients.ai.complete(ASK, Caller(ctx.job.creator_id, ctx.job.id)).text
    with ctx.finish():
        pass


def run(runtime: Runtime, creator: User) -> Job:
    with runtime.sessions.begin() as session:
        job = job_enqueue.enqueue(session, Noop(), creator_id=creator.id).job
    with runtime.sessions.begin() as session:
        job_dispatch.promote(session)
        job_dispatch.take_due(session, "default", 10, {"noop": 1}, Turns())
    run_job(replace(runtime, handlers={"noop": ask}), "here", "noop", job.id)
    with runtime.sessions() as session:
        return session.get_one(Job, job.id)


def test_a_call_of_a_job_stands_in_the_ledger(runtime: Runtime, creator: User) -> None:
    job = run(runtime, creator)
    assert job.state == JobState.SUCCEEDED
    with runtime.sessions() as session:
        (row,) = session.execute(text("SELECT * FROM usage_logs")).all()
        spent = session.execute(
            text("SELECT settled_micro_usd, reserved_micro_usd FROM ai_spend WHERE scope = 'total'")
        )
        assert tuple(spent.one()) == (row.cost_micro_usd, 0)
    assert (row.role, row.deployment, row.outcome, row.job_id) == ("vision", "default", "ok", job.id)
    assert 0 < row.cost_micro_usd < row.bound_micro_usd
    assert row.sandbox


def test_a_job_waits_for_a_spent_budget_and_pays_no_attempt_for_it(runtime: Runtime, creator: User) -> None:
    with runtime.sessions.begin() as session:
        ai_limits.put(session, TOTAL, 1)
    job = run(runtime, creator)
    assert (job.state, job.errors) == (JobState.WAITING, 0)
    with runtime.sessions() as session:
        after = session.execute(text(AFTER_MONTH)).scalar_one()
        end = session.execute(text("SELECT outcome, error_code FROM job_attempts")).one()
    assert timedelta() <= after < timedelta(minutes=1), "until the month ends"
    assert tuple(end) == ("snoozed", "ai.budget_exhausted")


def test_metrics_tell_how_long_models_live(settings: Settings) -> None:
    registry = CollectorRegistry()
    registry.register(AiRetirements(settings.ai))
    assert b"huntaze_ai_retirement_days" in generate_latest(registry)
