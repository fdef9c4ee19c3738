"""What a fleet costs that has nothing to do."""

import time
from dataclasses import dataclass

from sqlalchemy import text

from benchmarks.rig.cpu import cpu_seconds
from benchmarks.rig.processes import Rig

SETTLE_S = 4.0  # the first heartbeats and a start's last imports are over
_FLEET = {
    "dispatcher": ("dispatcher",),
    "worker-video": ("worker", "--queues", "video", "--concurrency", "2"),
    "worker-io": ("worker", "--queues", "ai,default"),
}
_TRANSACTIONS = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")


@dataclass(frozen=True)
class Idle:
    """Shares of one core in percent, by process, and the database's transactions a second."""

    percent: dict[str, float]
    transactions_per_s: float


def measure(rig: Rig, seconds: float) -> Idle:
    """Starts the nodes that `huntaze up` starts, waits until they are quiet, and watches them."""
    rig.start_nodes(_FLEET)
    time.sleep(SETTLE_S)
    before, at = {name: cpu_seconds(rig.running[name].pid) for name in _FLEET}, time.monotonic()
    transactions = _transactions(rig)
    time.sleep(seconds)
    spent = time.monotonic() - at
    percent = {name: 100 * (cpu_seconds(rig.running[name].pid) - was) / spent for name, was in before.items()}
    rate = (_transactions(rig) - transactions) / spent
    rig.stop(*_FLEET)
    return Idle(percent, rate)


def _transactions(rig: Rig) -> int:
    with rig.engine.connect() as connection:
        return int(connection.execute(_TRANSACTIONS).scalar_one())
