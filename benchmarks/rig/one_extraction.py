"""One extraction in a process of its own, to see how much memory it takes: `python -m ... FILE` prints it in MB."""

import sys
from pathlib import Path

from huntaze.pipelines.video.extract import extract


def main() -> None:
    path = Path(sys.argv[1])
    with path.open("rb") as file:
        extract(file, size_bytes=path.stat().st_size)
    # Not getrusage: what it tells begins with what the parent had.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


if __name__ == "__main__":
    main()
