"""The outcome: a table for people, one JSON object for programs."""

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from huntaze.models.jobs import JobState
from tests.chaos.checks import Violation, longest_silence
from tests.chaos.faults import DoneFault
from tests.chaos.fleet import SKEW_S
from tests.chaos.load import Load
from tests.chaos.records import Records, Row

_SHOWN = 20


@dataclass(frozen=True)
class Outcome:
    """What came of a trial. `replayed`: innocent jobs shelved as crashed (three faults hit one and the same job), which
    were replayed when the faults were over, as an operator would. `figures`: of billing, webhooks and the AI budget."""

    seed: int
    jobs: int
    seconds: float
    drain_s: float
    faults: list[DoneFault]
    violations: list[Violation]
    ended_by_themselves: Counter[str]
    hung: list[str]
    orphans: int
    replayed: int
    figures: dict[str, int]
    records: Records
    load: Load
    logs: Path

    @property
    def good(self) -> bool:
        """Nobody who works here may end by itself, whatever store is away: systemd would not restart it for ever."""
        left_alone = not self.hung and not self.orphans and not self.ended_by_themselves
        return not self.violations and left_alone and len(self.load.sent) == self.jobs

    def json(self) -> str:
        """The last line of the output."""
        sorts = Counter(violation.sort for violation in self.violations)
        outcomes = Counter(one["outcome"] for job in self.records.attempts.values() for one in job)
        facts: dict[str, Any] = {
            "seed": self.seed,
            "jobs": self.jobs,
            "ok": self.good,
            "faults": dict(sorted(Counter(fault.name for fault in self.faults).items())),
            **{sort: sorts[sort] for sort in ("lost", "doubled", "stuck", "wrong")},
            **self.figures,
            "longest_recovery_s": round(self._longest_recovery(), 2),
            "longest_job_s": round(max(self._waits().values(), default=0.0), 2),
            "seconds": round(self.seconds, 1),
            "drain_s": round(self.drain_s, 1),
            "clock_skew_s": SKEW_S,
            "jobs_per_s": round(len(self.records.jobs) / self.seconds, 1),
            "attempts": {str(name): count for name, count in sorted(outcomes.items(), key=str)},
            "replayed": self.replayed,
            "hung": len(self.hung),
            "orphans": self.orphans,
            "ended_by_themselves": dict(self.ended_by_themselves),
        }
        return json.dumps(facts)

    def table(self) -> str:
        """For people; on failure with the jobs concerned."""
        facts = json.loads(self.json())
        lines = [f"{name:24}{count:>8}" for name, count in facts.pop("faults").items()]
        lines = ["faults", *lines, "", "figures"]
        lines += [
            f"{name:24}{value if not isinstance(value, dict) else _flat(value):>8}" for name, value in facts.items()
        ]
        states = Counter((job["kind"], job["state"]) for job in self.records.jobs.values())
        lines += ["", "jobs", *(f"{kind:16}{state:12}{count:>6}" for (kind, state), count in sorted(states.items()))]
        lines += ["", "slowest jobs, seconds from first due to the end", *self._slowest(), ""]
        if not self.good:
            lines += ["", f"FAILED. The logs are in {self.logs}", *self.hung]
            lines += [line for violation in self.violations[:_SHOWN] for line in self._tell(violation)]
            lines += [f"... and {len(self.violations) - _SHOWN} more"] * (len(self.violations) > _SHOWN)
        return "\n".join(lines)

    def _tell(self, violation: Violation) -> list[str]:
        known = [] if violation.job_id is None else [self.records.tell(violation.job_id)]
        of = "" if violation.job_id is None else f"job {violation.job_id}: "
        return [f"{violation.sort}: {of}{violation.what}", *known]

    def _longest_recovery(self) -> float:
        ends = [job["finished_at"] for job in self.records.jobs.values() if job["finished_at"] is not None]
        return longest_silence([fault.at for fault in self.faults], ends)

    def _slowest(self, most: int = 5) -> list[str]:
        slowest = sorted(self._waits().items(), key=lambda one: -one[1])[:most]
        return [f"{seconds:8.1f}  {self._story(job_id)}" for job_id, seconds in slowest]

    def _story(self, job_id: uuid.UUID) -> str:
        attempts = self.records.attempts.get(job_id, [])
        told = (
            f"{one['started_at']:%H:%M:%S}-{one['ended_at'] or one['started_at']:%H:%M:%S} {one['outcome']}"
            for one in attempts
        )
        job = self.records.jobs[job_id]
        return f"{job_id} {job['kind']}, made {job['created_at']:%H:%M:%S}: {', '.join(told)}"

    def _waits(self) -> dict[uuid.UUID, float]:
        """Seconds from first due to the end, by job, of all that succeeded."""
        due = {sent.id: sent.due for sent in self.load.sent.values()}
        jobs = [job for job in self.records.jobs.values() if job["state"] == JobState.SUCCEEDED]
        return {job["id"]: _seconds(due.get(job["id"]) or job["created_at"], job) for job in jobs}


_ROW = (
    *("seed", "jobs", "ok", "lost", "doubled", "stuck", "wrong", "invoices", "double_charges", "gaps", "deliveries"),
    *("deliveries_lost", "out_of_order", "overspent_micro_usd", "longest_recovery_s", "seconds", "drain_s"),
)


def rows(outcomes: Sequence[dict[str, Any]]) -> str:
    """Several trials, a line each. `outcomes`: what their JSON lines say."""
    names = [name.removesuffix("_s").removesuffix("_micro_usd").replace("_", " ") for name in (*_ROW, "faults")]
    lines = ["".join(f"{name:>{max(7, len(name) + 2)}}" for name in names)]
    for one in outcomes:
        cells = [*(one[name] for name in _ROW), sum(one["faults"].values())]
        named = zip(names, cells, strict=True)
        lines.append("".join(f"{cell!s:>{max(7, len(name) + 2)}}" for name, cell in named))
    return "\n".join(lines)


def _seconds(due: datetime, job: Row) -> float:
    ended: datetime = job["finished_at"]
    return (ended - due).total_seconds()


def _flat(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "-"
