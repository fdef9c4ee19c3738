"""The sweep of the AI budget, called as a plain function."""

from types import SimpleNamespace

from sqlalchemy import text

from huntaze.clients.ai.twins import ScriptedGateway
from huntaze.clients.build import Clients
from huntaze.clients.object_store import MemoryObjectStore
from huntaze.models import ai_report, job_claim, job_dispatch, job_enqueue
from huntaze.models.database import Sessions
from huntaze.models.job_args import AiSweep
from huntaze.models.job_dispatch import Turns
from huntaze.models.jobs import Job
from huntaze.settings import Settings
from huntaze.tasks import ai
from huntaze.tasks.context import JobContext
from tests.models.ai_calls import called
from tests.models.old_jobs import now


def test_the_calls_of_the_dead_are_settled(sessions: Sessions, settings: Settings) -> None:
    for _ in range(3):
        called(sessions, None, bound=100)
    with sessions.begin() as session:
        session.execute(text("UPDATE usage_logs SET lease_until = now() - interval '1 s'"))
    called(sessions, None, bound=7)
    args = AiSweep(slot=now(sessions))
    with sessions.begin() as session:
        job = job_enqueue.enqueue(session, args).job
        job_dispatch.take_due(session, "default", 10, {"ai.sweep": 1}, Turns())
        held = job_claim.claim(session, job.id, "here/1", 60)
    assert held is not None
    clients = Clients(MemoryObjectStore(), ScriptedGateway(lambda request: "{}"))
    ai.sweep_calls(JobContext(held, sessions, clients, SimpleNamespace(lost=False, cancelled=False), settings), args)
    with sessions() as session:
        assert session.get_one(Job, job.id).result == {"settled": 3}
        total = ai_report.budget(session).scopes[0]
    assert (total.settled_micro_usd, total.reserved_micro_usd) == (300, 7)
