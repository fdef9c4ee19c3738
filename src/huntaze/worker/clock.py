"""From the schedule to jobs: one job a slot, however often, however late or by however many beats it is fired."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from celery import Task
from cronsim import CronSim

from huntaze.beat_schedule import FIRE, SCHEDULE, SWEEP, Entry
from huntaze.logs import logger
from huntaze.models import job_enqueue, job_store, periodic_store
from huntaze.models.database import Sessions
from huntaze.models.job_kinds import KINDS

_log = logger(__name__)
_MOST_SLOTS = 1000  # in one firing; the next sweep goes on from there
# An entry that is seen for the first time starts with the slot that fired it, not with all of the past.
_FIRST_SIGHT = timedelta(minutes=1)


class ClockTask(Task):  # type: ignore[misc]
    """What beat sends: `clock.fire(entry)`."""

    name = FIRE
    queue = "default"
    ignore_result = True

    def run(self, entry: str) -> None:
        sessions: Sessions = self.app.huntaze_runtime.get().sessions
        for name in SCHEDULE if entry == SWEEP else [entry]:
            fire(sessions, name)


def fire(sessions: Sessions, name: str, entry: Entry | None = None) -> int:
    """Inserts a job for each slot that became due since the last one recorded; returns how many. Raises KeyError."""
    entry = entry or SCHEDULE[name]
    with sessions.begin() as session:
        now = job_store.db_now(session)
        last = periodic_store.lock(session, name, first=now - _FIRST_SIGHT)
        due = slots(entry.cron, last, now)
        chosen = list(islice(due, _MOST_SLOTS) if entry.catch_up == "all" else deque(due, maxlen=1))
        if not chosen:
            return 0
        args = KINDS[entry.kind].args
        made = [
            job_enqueue.enqueue(session, args.model_validate({"slot": slot}), dedupe_key=f"{name}@{slot.isoformat()}")
            for slot in chosen
        ]
        periodic_store.record(session, name, chosen[-1])
    count = sum(one.created for one in made)
    _log.info("clock fired", entry=name, jobs=count)
    return count


def slots(cron: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The slots of a cron expression in (after, until], UTC. Raises cronsim.CronSimError."""
    for slot in CronSim(cron, after.astimezone(UTC)):
        if slot > until:
            return
        yield slot
