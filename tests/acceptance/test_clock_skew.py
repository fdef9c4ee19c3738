"""The clocks of the nodes are wrong by a minute, to either side: nobody may notice."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.acceptance.conftest import ROOT, Processes
from tests.acceptance.kinds import Frames, Hold, Retried
from tests.acceptance.ledger import Ledger
from tests.chaos import wrong_clock
from tests.waiting import until

pytestmark = pytest.mark.skipif(not wrong_clock.POSSIBLE, reason="a clock can be made wrong on x86-64 Linux alone")
AHEAD, BEHIND = {wrong_clock.SKEW: "60"}, {wrong_clock.SKEW: "-60"}
LATE_S = 5.0  # what a loaded machine may need; far from the minute that a wrong clock would cost

_TIMES = """
import json, time
from datetime import UTC, datetime
from tests.chaos import wrong_clock
from huntaze.models.base import new_id
right = time.time()
wrong_clock.shift(-60)
now = datetime.now(UTC).timestamp()
print(json.dumps([time.time() - right, now - right, (new_id().int >> 80) / 1000 - right, time.time_ns() / 1e9 - right]))
"""


def printed(program: str, environment: dict[str, str]) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


def test_a_wrong_clock_is_wrong_for_everything_in_the_process() -> None:
    assert printed(_TIMES, {}) == pytest.approx([-60] * 4, abs=1)


def test_leases_retries_and_delays_keep_the_time_of_the_database(fleet: Processes, ledger: Ledger) -> None:
    for skew in (AHEAD, BEHIND):
        fleet.dispatcher(**skew)
        fleet.worker("default", 8, HUNTAZE_WORKER_LEASE_S="2", **skew)
    long = [ledger.enqueue(Hold(seconds=5)) for _ in range(6)]
    later = [ledger.enqueue(Hold(seconds=0), after_s=3) for _ in range(4)]
    retried = [ledger.enqueue(Retried(retry_after=2)) for _ in range(6)]
    done = ledger.ended([*long, *later, *retried], "all to be done by nodes that do not agree on the time", 45)
    assert [(job.state, job.crashes) for job in done] == [("succeeded", 0)] * 16, fleet.logs()
    assert [ledger.effects(job) for job in done] == [1] * 16
    assert [job.attempt for job in done] == [1] * 10 + [2] * 6, "no lease was taken away from who held it"
    starts = [(job.started_at - job.run_at).total_seconds() for job in done[:10] if job.started_at is not None]
    for job in done[10:]:
        first, second = ledger.attempts(job)
        starts.append((second["started_at"] - first["ended_at"]).total_seconds() - 2)
    assert len(starts) == 16
    # An attempt is written down as ended a moment after its next time was worked out: on a busy machine a long one.
    assert min(starts) > -0.5, "nothing began before its time"
    assert max(starts) < LATE_S, starts
    assert len({attempt["worker"].partition("/")[0] for job in done for attempt in ledger.attempts(job)}) == 2


@pytest.mark.parametrize(("died", "survives"), [(AHEAD, BEHIND), (BEHIND, AHEAD)], ids=["ahead", "behind"])
def test_a_lease_ends_when_the_database_says_so(
    fleet: Processes, ledger: Ledger, died: dict[str, str], survives: dict[str, str]
) -> None:
    fleet.dispatcher(**died)
    first = fleet.worker("video", HUNTAZE_WORKER_LEASE_S="2", **died)
    job = ledger.enqueue(Frames(seconds=1))
    ledger.until_running(job)
    os.killpg(first.pid, signal.SIGKILL)
    killed = ledger.now()
    fleet.worker("video", HUNTAZE_WORKER_LEASE_S="2", **survives)
    until(lambda: ledger.job(job).crashes, "the lease to run out")
    assert (ledger.attempts(job)[0]["ended_at"] - killed).total_seconds() < 2 + LATE_S
    (done,) = ledger.ended([job], "the other node to do it", 20)
    assert (done.state, done.attempt, done.crashes, ledger.effects(job)) == ("succeeded", 2, 1, 1), fleet.logs()


_BEAT = """
import json, sys, time
from tests.chaos import wrong_clock
right = time.time()
wrong_clock.shift(int(sys.argv[1]))
from huntaze.settings import load
from huntaze.worker.app import build_app
from huntaze.worker.heartbeat import BeatScheduler, Heartbeat
settings = load()
app = build_app(settings)
app.huntaze_heartbeat = Heartbeat(settings.database, app.huntaze_node, "beat")
scheduler = BeatScheduler(app)
entries = list(scheduler.schedule.values())
scheduler.tick()
times = [app.now(), *(entry.last_run_at for entry in entries), *(entry.schedule.now() for entry in entries)]
app.huntaze_heartbeat.leave()
print(json.dumps([at.timestamp() - right for at in times]))
"""


@pytest.mark.parametrize("skew", ["60", "-60"])
def test_beat_goes_by_the_time_of_the_database(processes: Processes, skew: str) -> None:
    """A beat that is ahead would fire each slot too early, for nothing."""
    program = _BEAT.replace("sys.argv[1]", skew)
    assert all(0 <= seconds < 30 for seconds in printed(program, processes.environment))
