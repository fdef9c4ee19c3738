"""`python -m tests.chaos --jobs 10000 --seed 7 --minutes 10`. Exit code 0: nothing lost, doubled, stuck or wrong.

Several seeds run one after the other; in the end a table has a row for each, and the last lines are their JSON objects.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.report import Outcome, rows
from tests.chaos.trial import Trial, flushed


def main() -> int:
    options = _parser().parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="huntaze-chaos-"))
    outcomes = [_run(options, seed, folder / str(seed)) for seed in options.seed]
    lines = [outcome.json() for outcome in outcomes]
    if len(lines) > 1 and not options.json:
        flushed(f"\n{rows([json.loads(line) for line in lines])}\n")
    for line in lines:
        flushed(line)
    good = all(outcome.good for outcome in outcomes)
    if good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


def _run(options: argparse.Namespace, seed: int, folder: Path) -> Outcome:
    if not options.json:
        flushed(f"seed {seed}: {options.jobs} jobs in {options.minutes:g} minutes")
    try:
        outcome = asyncio.run(_trial(options, seed, folder).run())
    except BaseException:
        flushed(f"seed {seed} was broken off; what there is lies in {folder}")
        raise
    if not options.json or not outcome.good:
        flushed(outcome.table())
    if outcome.good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _trial(options: argparse.Namespace, seed: int, folder: Path) -> Trial:
    return Trial(
        seed=seed,
        jobs=options.jobs,
        seconds=60 * options.minutes,
        every_s=options.every,
        folder=folder / "stack",
        faults=None if options.faults is None else tuple(filter(None, options.faults.split(","))),
        say=(lambda line: None) if options.json else flushed,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument(
        "--seed", type=int, nargs="+", default=[secrets.randbelow(10_000)], help="one or more; default: a random one"
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="how long jobs come and faults happen")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two faults, on average")
    parser.add_argument("--faults", help="comma-separated names; default: all, '' for none")
    parser.add_argument("--folder", type=Path, help="for stores and logs; default: a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep stores and logs when all is well, too")
    parser.add_argument("--json", action="store_true", help="nothing but the last line when all is well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
