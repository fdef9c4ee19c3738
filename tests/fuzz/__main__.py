"""`python -m tests.fuzz --files 2000 --seed 1`. Exit code 0: no crash, no hang, no growth, nothing unforeseen."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import run
from tests.fuzz.seeds import seeds

GROWTH_MOST_MB = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="for files that are kept and logs; default: a temporary one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="huntaze-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcome = run(seeds(), options.files, options.seed, folder, children=options.children, say=_flushed)
    good = not outcome.bad and outcome.grown_mb <= GROWTH_MOST_MB
    if good and options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    _flushed(outcome.table())
    _flushed(outcome.json())
    return 0 if good else 1


def _flushed(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
