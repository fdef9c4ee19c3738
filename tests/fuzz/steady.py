"""`python -m tests.fuzz.steady --files 500`: whole films one after the other in one process: what it holds stays flat.

Prints what it held on the way, and as the last line one JSON object. Exit code 0: no growth.
"""

import argparse
import json
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from tests.fuzz.pool import Child
from tests.fuzz.run import growth
from tests.fuzz.seeds import seeds

GROWTH_MOST_MB = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.steady", description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--shared", action="store_true", help="the shared videos as well, where they are")
    options = parser.parse_args()
    held = looks(options.files, shared=options.shared)
    for number in range(0, len(held), max(1, len(held) // 10)):
        print(f"{number:>6}  {held[number]} MB", flush=True)
    said = {
        "files": len(held),
        "first_mb": held[0],
        "last_mb": held[-1],
        "most_mb": max(held),
        "grown_mb": growth(held),
    }
    print(json.dumps(said), flush=True)
    return 0 if growth(held) <= GROWTH_MOST_MB else 1


def looks(files: int, *, shared: bool) -> list[int]:
    """MB that one process held after each of so many films."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, data in seeds(shared=shared).items():
            path = Path(folder) / name
            path.write_bytes(data)
            paths.append(path)
        with (Path(folder) / "log").open("wb") as log, Child(log) as child:
            seen = [child.look(path) for path in islice(cycle(paths), files)]
    assert not [one for one in seen if one.bad]
    return [one.rss_mb for one in seen]


if __name__ == "__main__":
    sys.exit(main())
