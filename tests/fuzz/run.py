"""One run: so many broken files, looked at by children, counted by what came of them."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutated
from tests.fuzz.pool import Child, Looked


@dataclass
class Outcome:
    """outcomes: how many files gave which. kept: the files that gave what must not be. grown_mb: see
    `growth`; the worst child's."""

    files: int
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    kept: list[str] = field(default_factory=list)
    slowest: tuple[float, float, str] = (0.0, 0.0, "")
    rss: dict[int, list[int]] = field(default_factory=dict)

    @property
    def grown_mb(self) -> int:
        return max((growth(held) for held in self.rss.values()), default=0)

    @property
    def bad(self) -> int:
        return sum(number for outcome, number in self.outcomes.items() if outcome.startswith("!"))

    def table(self) -> str:
        width = max(map(len, self.outcomes), default=0)
        rows = [f"{outcome:<{width}}  {number:>6}" for outcome, number in self.outcomes.most_common()]
        cpu_s, wall_s, name = self.slowest
        rows.append(f"slowest {cpu_s:.1f} s of processor, {wall_s:.1f} s on the clock: {name}")
        return "\n".join([*rows, *(f"kept {path}" for path in self.kept)])

    def json(self) -> str:
        return json.dumps(
            {
                "files": self.files,
                "seed": self.seed,
                "outcomes": dict(sorted(self.outcomes.items())),
                "bad": self.bad,
                "hangs": self.outcomes["! hang"],
                "slowest_cpu_s": self.slowest[0],
                "rss_max_mb": max((max(held, default=0) for held in self.rss.values()), default=0),
                "grown_mb": self.grown_mb,
                "kept": self.kept,
            }
        )


def broken(seeds: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """A name that says what was done to what, and the bytes. The same for the same seed and number."""
    names = sorted(seeds)
    name = names[number % len(names)]
    how, data = mutated(seeds[name], Random(f"{seed}/{number}"))
    return f"{number:05} {how} of {name}", data


def run(
    seeds: dict[str, bytes], files: int, seed: int, folder: Path, *, children: int, say: Callable[[str], None]
) -> Outcome:
    """Look at `files` broken files; those that crash, hang or raise what nobody foresaw stay in `folder`."""
    outcome, numbers = Outcome(files, seed), iter(range(files))

    def work(child_number: int) -> None:
        held = outcome.rss.setdefault(child_number, [])
        with (folder / f"child-{child_number}.log").open("ab") as log, Child(log) as child:
            for number in numbers:  # shared by all: each takes the next
                name, data = broken(seeds, seed, number)
                path = folder / name.replace(" ", "_")
                path.write_bytes(data)
                looked = child.look(path)
                _count(outcome, name, looked, held)
                if looked.bad:
                    outcome.kept.append(str(path))
                    say(f"{looked.outcome}: {path}")
                else:
                    path.unlink()

    with ThreadPoolExecutor(children, "fuzz") as threads:
        for done in [threads.submit(work, number) for number in range(children)]:
            done.result()
    return outcome


def _count(outcome: Outcome, name: str, looked: Looked, held: list[int]) -> None:
    outcome.outcomes[looked.outcome] += 1
    outcome.slowest = max(outcome.slowest, (looked.cpu_s, looked.wall_s, name))
    if looked.rss_mb:
        held.append(looked.rss_mb)
    else:
        held.clear()  # another process from here on
    if (done := sum(outcome.outcomes.values())) % 250 == 0:
        print(f"{done} of {outcome.files}", flush=True)


def growth(held: list[int]) -> int:
    """By how many MB the last fifth is above the fifth after the first one, in which a process loads what it needs."""
    fifth = len(held) // 5
    if fifth < 5:
        return 0
    return sorted(held[-fifth:])[fifth // 2] - sorted(held[fifth : 2 * fifth])[fifth // 2]
