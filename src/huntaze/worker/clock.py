"""From the schedule to jobs: one job a slot, however often, however late or by however many beats it is fired."""

from datetime import datetime, timedelta
from itertools import islice

from celery import Task

from huntaze.beat_schedule import FIRE, SCHEDULE, SWEEP, Entry
from huntaze.logs import logger
from huntaze.models import job_store, periodic_store
from huntaze.models.database import Sessions
from huntaze.pipelines.periodic.slots import latest_slot, slots

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
        chosen = _chosen(entry, last, now)
        if not chosen:
            return 0
        made = [periodic_store.enqueue_slot(session, name, entry.kind, slot) for slot in chosen]
        periodic_store.record(session, name, chosen[-1])
    count = sum(one.created for one in made)
    _log.info("clock fired", entry=name, jobs=count)
    return count


def _chosen(entry: Entry, last: datetime, now: datetime) -> list[datetime]:
    """The slots that are due, by the entry's rule for those that were missed."""
    if entry.catch_up == "all":
        return list(islice(slots(entry.cron, last, now), _MOST_SLOTS))
    latest = latest_slot(entry.cron, now)
    return [] if latest is None or latest <= last else [latest]
