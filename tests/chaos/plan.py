"""What will be done, drawn from the seed: which jobs when, which faults when. The same seed gives the same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from huntaze.models.job_args import JobArgs
from tests.chaos.kinds import Ask, Call, Delayed, Doomed, Flaky, Parent, Poison, Quick, Slow

# kind: share of the jobs.
_SHARES = {
    "quick": 0.4,
    "call": 0.16,
    "ask": 0.03,
    "flaky": 0.1,
    "delayed": 0.1,
    "parent": 0.09,
    "slow": 0.07,
    "doomed": 0.045,
    "poison": 0.005,
}
_CANCELLED = {"slow": 0.2, "delayed": 0.2}  # share by kind; of the others:
_CANCELLED_ELSE = 0.02
# What is dear is bounded, so that many jobs take no longer than they must: a slow one holds one of four slots for about
# a second, and a poison takes three processes with it.
_POISON_MOST = 12
_SLOW_A_SECOND = 1.0
CREATORS = 7


@dataclass(frozen=True)
class PlannedJob:
    """`at` and `cancel_at`: seconds from the start; `delay_s`: how much later than its insert it is due."""

    number: int
    kind: str
    at: float
    creator: int
    delay_s: float
    steps: int
    step_s: float
    failures: int
    cancel_at: float | None

    def args(self, due: datetime) -> JobArgs:
        match self.kind:
            case "slow":
                return Slow(steps=self.steps, step_s=self.step_s)
            case "flaky":
                return Flaky(failures=self.failures)
            case "delayed":
                return Delayed(due=due)
        plain: dict[str, type[JobArgs]] = {
            "quick": Quick,
            "ask": Ask,
            "call": Call,
            "parent": Parent,
            "doomed": Doomed,
            "poison": Poison,
        }
        return plain[self.kind]()


@dataclass(frozen=True)
class PlannedFault:
    """`pick` in [0, 1) chooses among the victims there are at that time; `length` in [0, 1) how long it lasts."""

    at: float
    name: str
    pick: float
    length: float


def plan_jobs(seed: int, jobs: int, seconds: float) -> list[PlannedJob]:
    """By time. The last one is inserted when 95 % of the time are over."""
    dice = random.Random(f"{seed}/jobs")
    kinds = dice.choices(list(_SHARES), weights=list(_SHARES.values()), k=jobs)
    if jobs >= 10:  # every kind in every trial, however short
        kinds[: len(_SHARES)] = list(_SHARES)
        dice.shuffle(kinds)
    for kind, most in (("poison", _POISON_MOST), ("slow", max(20, int(_SLOW_A_SECOND * seconds)))):
        for number in [number for number, drawn in enumerate(kinds) if drawn == kind][most:]:
            kinds[number] = "quick"
    for late in range((jobs + 1) // 2, jobs):
        if kinds[late] == "poison":  # three leases run out before it ends: not at the end of the trial
            early = dice.randrange(jobs // 2)
            kinds[late], kinds[early] = kinds[early], kinds[late]
    times = sorted(dice.uniform(0, seconds * 0.95) for _ in range(jobs))
    return [_draw(dice, number, kind, at) for number, (kind, at) in enumerate(zip(kinds, times, strict=True))]


def _draw(dice: random.Random, number: int, kind: str, at: float) -> PlannedJob:
    cancelled = dice.random() < _CANCELLED.get(kind, _CANCELLED_ELSE)
    return PlannedJob(
        number=number,
        kind=kind,
        at=at,
        creator=dice.randrange(CREATORS),
        delay_s=dice.uniform(0.5, 6) if kind == "delayed" else 0.0,
        steps=dice.randint(4, 12),
        step_s=dice.uniform(0.05, 0.2),
        failures=dice.randint(1, 3),
        cancel_at=at + dice.uniform(0, 2.5) if cancelled else None,
    )


def plan_faults(seed: int, names: Sequence[str], seconds: float, every_s: float) -> list[PlannedFault]:
    """One about every `every_s` seconds. All names come up before one comes again."""
    dice = random.Random(f"{seed}/faults")
    faults: list[PlannedFault] = []
    deck: list[str] = []
    at = every_s
    while at < seconds:
        if not deck:
            deck = dice.sample(names, k=len(names))
        faults.append(PlannedFault(at, deck.pop(), dice.random(), dice.random()))
        at += dice.uniform(0.4, 1.6) * every_s
    return faults


def due(job: PlannedJob) -> datetime:
    """When a job that is inserted now is due."""
    return datetime.now(UTC) + timedelta(seconds=job.delay_s)
