"""Nobody waits for another's backlog: a real dispatcher, a worker with few slots, thousands of jobs in front."""

import pytest

from huntaze.models import flow_store
from huntaze.models.jobs import Job
from tests.acceptance.conftest import Processes
from tests.acceptance.kinds import Frames, Hold, Other
from tests.acceptance.ledger import Ledger
from tests.waiting import until

BACKLOG = 5000
LENGTH_S = 2.0
BOUND_S = LENGTH_S + 1.0


def waited(job: Job) -> float:
    """Seconds from being due to the start."""
    assert job.started_at is not None
    return (job.started_at - job.created_at).total_seconds()


def ago(ledger: Ledger, job: Job) -> float:
    """Seconds since the start."""
    started = ledger.job(job).started_at
    assert started is not None
    return (ledger.now() - started).total_seconds()


def busy(ledger: Ledger, slots: int) -> None:
    until(lambda: ledger.count("running") >= slots, "all slots to be taken by the backlog")


@pytest.mark.parametrize("queue", ["default", "video"], ids=["threads", "prefork"])
def test_a_newcomer_waits_for_one_job_at_most(fleet: Processes, ledger: Ledger, queue: str) -> None:
    args = Hold(seconds=LENGTH_S) if queue == "default" else Frames(seconds=LENGTH_S)
    ledger.backlog(args, BACKLOG)
    fleet.dispatcher()
    fleet.worker(queue, 2)
    busy(ledger, 2)
    newcomers: list[Job] = []
    for n in range(4):  # one after the other, each at another moment of the slots' turns
        until(lambda: not newcomers or ago(ledger, newcomers[-1]) > n / 4 * LENGTH_S, "another moment")  # noqa: B023
        newcomers.append(ledger.enqueue(args, ledger.user(f"newcomer {n}")))
        ledger.until_started(newcomers[-1])
    waits = [waited(ledger.job(job)) for job in newcomers]
    assert max(waits) < BOUND_S, waits
    assert ledger.count("waiting") > BACKLOG * 0.9, "the backlog is still there"


def test_an_urgent_job_passes_its_own_creators_backlog_and_a_patient_one_waits(
    fleet: Processes, ledger: Ledger
) -> None:
    args = Hold(seconds=LENGTH_S)
    patient = ledger.enqueue(args, ledger.user("patient"), priority=5)
    ledger.backlog(args, BACKLOG)
    fleet.dispatcher()
    fleet.worker("default", 2)
    busy(ledger, 2)
    urgent = [ledger.enqueue(args, creator, priority=-5) for creator in (None, ledger.user("another"))]
    for job in urgent:
        ledger.until_started(job)
    waits = [waited(ledger.job(job)) for job in urgent]
    assert max(waits) < BOUND_S, waits
    assert ledger.job(patient).attempt == 0, "it was there first, and said that it can wait"


def test_a_paused_kind_holds_up_nobody_and_goes_on_later(fleet: Processes, ledger: Ledger) -> None:
    ledger.backlog(Hold(seconds=LENGTH_S), BACKLOG, priority=-5)
    fleet.dispatcher()
    fleet.worker("default", 2)
    busy(ledger, 2)
    with ledger.sessions.begin() as session:
        flow_store.pause(session, "kind", Hold.kind)
    other = ledger.enqueue(Other(seconds=LENGTH_S), ledger.user("another"))
    ledger.until_started(other)
    assert waited(ledger.job(other)) < BOUND_S
    until(lambda: ledger.count("running", Hold.kind) == 0, "what ran when the pause came to end")
    before = ledger.count("succeeded", Hold.kind)
    more = [ledger.enqueue(Other(seconds=0), ledger.user("another")) for _ in range(10)]
    ledger.ended(more, "the other kind to go on")
    assert ledger.count("succeeded", Hold.kind) == before, "what is paused stays where it is"
    with ledger.sessions.begin() as session:
        flow_store.resume(session, "kind", Hold.kind)
    until(lambda: ledger.count("succeeded", Hold.kind) > before, "the kind to go on", 5)
