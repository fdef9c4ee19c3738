"""The sweep of the AI budget and the retention of its rows, called as plain functions."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import ai_report, ai_retention, job_claim, job_dispatch, job_enqueue
from huntaze.models.database import Sessions
from huntaze.models.job_args import AiPrune, AiSweep, PeriodicArgs
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.settings import Settings
from huntaze.tasks import ai
from huntaze.tasks.context import JobContext
from tests.models.ai_calls import called
from tests.models.old_jobs import now


def held(sessions: Sessions, settings: Settings, args: PeriodicArgs) -> JobContext:
    """The context of a job with these arguments, claimed."""
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, args).job
        job_dispatch.take_due(session, "default", 10, {args.kind: 1}, Turns())
        claimed = job_claim.claim(session, job.id, "here/1", 60)
    assert claimed is not None
    clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"))
    return JobContext(claimed, sessions, clients, SimpleNamespace(lost=False, cancelled=False), settings)


def result(sessions: Sessions, ctx: JobContext) -> object:
    with sessions() as session:
        return session.get_one(Job, ctx.job.id).result


def test_the_calls_of_the_dead_are_settled(sessions: Sessions, settings: Settings) -> None:
    for _ in range(3):
        called(sessions, None, bound=100)
    with sessions.begin() as session:
        session.execute(text("UPDATE usage_logs SET lease_until = now() - interval '1 s'"))
    called(sessions, None, bound=7)
    ctx = held(sessions, settings, args := AiSweep(slot=now(sessions)))
    ai.sweep_calls(ctx, args)
    assert result(sessions, ctx) == {"settled": 3}
    with sessions() as session:
        total = ai_report.budget(session).scopes[0]
    assert (total.settled_micro_usd, total.reserved_micro_usd) == (300, 7)


def test_calls_go_by_whole_months_and_their_sums_stay(
    sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ai_retention, "ROWS", 2)
    slot = datetime(2026, 11, 20, 3, tzinfo=UTC)
    begun = {
        called(sessions, None if "under way" in what else 5).request_id: (what, at)
        for what, at in (
            *((f"old {day}", f"2025-09-{day}") for day in (10, 20, 30)),
            ("old, under way", "2025-09-01"),
            ("of the first month that is kept", "2025-10-01"),
            ("new", "2026-11-19"),
        )
    }
    with sessions.begin() as session:
        for id, (_, at) in begun.items():
            move = "UPDATE usage_logs SET created_at = CAST(:at AS timestamptz) WHERE request_id = :id"
            session.execute(text(move), {"at": f"{at}T00:00:00Z", "id": id})
    ctx = held(sessions, settings, args := AiPrune(slot=slot))
    ai.prune_calls(ctx, args)
    assert result(sessions, ctx) == {"deleted": 3, "more": False}
    with sessions() as session:
        left = [begun[id][0] for id in session.scalars(text("SELECT request_id FROM usage_logs ORDER BY created_at"))]
        assert left == ["old, under way", "of the first month that is kept", "new"]
        assert ai_report.budget(session).scopes[0].settled_micro_usd == 25
