"""What must hold after a trial, job by job."""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from huntaze.models.jobs import ENDED, AttemptOutcome, JobState
from tests.chaos.kinds import Tick
from tests.chaos.load import Load, Sent
from tests.chaos.records import Records, Row

POISON_CRASHES = 3  # what DESIGN promises: the third shelves the job

_OURS = ("billing.", "payments.", "webhooks.", "events.", "ai.sweep")  # kinds of the product that are tried, too

Sort = Literal["lost", "doubled", "stuck", "wrong"]


@dataclass(frozen=True)
class Violation:
    """Something that must not be. lost: promised and not done; doubled: done more often than allowed;
    stuck: not ended; wrong: the ledger contradicts itself or the plan."""

    sort: Sort
    job_id: uuid.UUID | None
    what: str


def check(records: Records, load: Load, replayed: set[uuid.UUID], ended: datetime) -> list[Violation]:
    """All violations. `ended`: when the trial did, by the database's clock."""
    found = [violation for sent in load.sent.values() for violation in _sent(records, load, sent)]
    for job in records.jobs.values():
        found += _row(records, job, job["id"] in replayed)
    known = records.jobs.keys()
    found += [Violation("wrong", job, "an effect without a job") for job in records.effects.keys() - known]
    found += [Violation("doubled", child[0], "no parent") for up, child in records.children.items() if up not in known]
    found += _ticks(sorted(job["args"]["slot"] for job in records.jobs.values() if job["kind"] == Tick.kind), ended)
    found += [Violation("wrong", job["id"], "fired before its slot") for job in records.jobs.values() if _early(job)]
    if records.unplaced:
        found.append(Violation("wrong", None, f"{records.unplaced} events have no position"))
    return found


def _ticks(slots: list[str], ended: datetime) -> Iterator[Violation]:
    """Every minute has its job, and one: from the first that was seen to the last whose next firing is over, too."""
    found = Counter(datetime.fromisoformat(slot) for slot in slots)
    minute = min(found, default=ended)
    while minute < ended - timedelta(minutes=2) or minute in found:
        if found[minute] != 1:
            yield Violation("doubled" if found[minute] else "lost", None, f"{found[minute]} ticks at {minute:%H:%M}")
        minute += timedelta(minutes=1)


def _early(job: Row) -> bool:
    """A clock that is ahead made the job of a slot that had not come."""
    return job["kind"] == Tick.kind and bool(job["created_at"] < datetime.fromisoformat(job["args"]["slot"]))


def _sent(records: Records, load: Load, sent: Sent) -> Iterator[Violation]:
    """Against the plan."""
    job = records.jobs.get(sent.id)
    if job is None:
        yield Violation("lost", sent.id, "the row is gone")
        return
    if job["state"] not in ENDED:
        return  # told as stuck
    wanted = {"poison": (JobState.FAILED, "crashed"), "doomed": (JobState.FAILED, "chaos.doomed")}
    state, code = wanted.get(sent.planned.kind, (JobState.SUCCEEDED, None))
    as_planned = job["state"] == state and (code is None or job["error_code"] == code)
    as_asked = job["state"] == JobState.CANCELLED and sent.id in load.cancelled
    if not as_planned and not as_asked:
        sort: Sort = "lost" if state == JobState.SUCCEEDED else "wrong"
        yield Violation(sort, sent.id, f"{sent.planned.kind} ended as {job['state']} {job['error_code'] or ''}")
    if job["started_at"] is not None and job["started_at"] < sent.due:
        yield Violation("wrong", sent.id, f"started {sent.due - job['started_at']} before it was due")


def _row(records: Records, job: Row, replayed: bool) -> Iterator[Violation]:
    """Against itself and its traces."""
    id, state = job["id"], job["state"]
    if state not in ENDED:
        yield Violation("stuck", id, f"is {state} at the end")
        return
    succeeded = state == JobState.SUCCEEDED
    if job["kind"].startswith(_OURS) and state == JobState.FAILED and job["error_code"] != "crashed":
        yield Violation("lost", id, f"{job['kind']} failed: {job['error_code']}")
    if job["kind"].startswith("chaos."):
        yield from _exactly(records.effects.get(id, []), succeeded, id, "effects")
        yield from _exactly(records.children.get(id, []), succeeded and job["kind"] == "chaos.parent", id, "children")
    yield from _outside(records.calls.get(id, {}), job)
    yield from _attempts(records.attempts.get(id, []), job, replayed)
    yield from _traces(records, job)


def _exactly(found: Sequence[object], wanted: bool, id: uuid.UUID, what: str) -> Iterator[Violation]:
    if len(found) < wanted:
        yield Violation("lost", id, f"no {what}")
    if len(found) > wanted:
        yield Violation("doubled", id, f"{len(found)} {what} instead of {int(wanted)}")


def _outside(calls: dict[int, int], job: Row) -> Iterator[Violation]:
    if job["kind"] == "chaos.call" and job["state"] == JobState.SUCCEEDED and not calls:
        yield Violation("lost", job["id"], "no call outside")
    doubles = {attempt: count for attempt, count in calls.items() if count > 1}
    if doubles or sum(calls.values()) > job["attempt"]:
        yield Violation("doubled", job["id"], f"calls by attempt {calls}, {job['attempt']} attempts")


def _attempts(attempts: list[Row], job: Row, replayed: bool) -> Iterator[Violation]:
    """The fencing token counts without a gap, every attempt has one outcome, and the last one explains the end."""
    id = job["id"]
    outcomes = [attempt["outcome"] for attempt in attempts]
    if [attempt["attempt"] for attempt in attempts] != list(range(1, job["attempt"] + 1)):
        yield Violation("wrong", id, "its attempts are not 1, 2, 3, ...")
    if any(attempt["outcome"] is None or attempt["ended_at"] is None for attempt in attempts):
        yield Violation("wrong", id, f"an attempt without an outcome: {outcomes}")
    last = outcomes[-1] if outcomes else None
    fits = {
        JobState.SUCCEEDED: last == AttemptOutcome.SUCCEEDED,
        JobState.FAILED: last in (AttemptOutcome.FAILED, AttemptOutcome.CRASHED),
        JobState.CANCELLED: last not in (AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED),
    }
    if not fits[JobState(job["state"])] or AttemptOutcome.SUCCEEDED in outcomes[:-1]:
        yield Violation("wrong", id, f"{job['state']} after {outcomes}")
    crashes = outcomes.count(AttemptOutcome.CRASHED)
    if not replayed and crashes != job["crashes"]:  # a replay sets the count back
        yield Violation("wrong", id, f"{job['crashes']} crashes after {outcomes}")
    if job["error_code"] == "crashed" and job["state"] == JobState.FAILED and job["crashes"] != POISON_CRASHES:
        yield Violation("wrong", id, f"shelved after {job['crashes']} crashes")


def _traces(records: Records, job: Row) -> Iterator[Violation]:
    """The effect belongs to the attempt that succeeded; each end was told once."""
    id = job["id"]
    good = [one["attempt"] for one in records.attempts.get(id, []) if one["outcome"] == AttemptOutcome.SUCCEEDED]
    if job["kind"].startswith("chaos.") and job["state"] == JobState.SUCCEEDED and records.effects.get(id, []) != good:
        yield Violation("wrong", id, f"effects by attempts {records.effects.get(id, [])}, succeeded: {good}")
    if job["creator_id"] is not None:
        told = {state: records.events[id, f"job.{state}"] for state in (JobState.SUCCEEDED, JobState.CANCELLED)}
        wanted = {state: int(job["state"] == state) for state in told}
        if told != wanted:
            yield Violation("wrong", id, f"events {told} of a job that is {job['state']}")


def longest_silence(faults: list[datetime], finished: list[datetime]) -> float:
    """The longest time in seconds from a fault to the next end of any job. Faults after which none was left are not
    counted."""
    ends = sorted(finished)
    longest, at = 0.0, 0
    for fault in sorted(faults):
        while at < len(ends) and ends[at] < fault:
            at += 1
        if at < len(ends):
            longest = max(longest, (ends[at] - fault).total_seconds())
    return longest
